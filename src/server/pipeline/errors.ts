/**
 * Errors for clients: a code, a message, and for internal errors an id that is also in the log. Internal details are
 * masked.
 */
import { randomUUID } from 'node:crypto';
import { type ASTNode, type DocumentNode, GraphQLError, Kind, parse, type Source, visit } from 'graphql';
import type { Logger } from 'pino';
import { Forbidden } from '../../access/permissions.ts';
import { IssuerAway } from '../../access/token.ts';
import { Unauthenticated } from '../../access/unauthenticated.ts';
import { LaterVersion } from '../../app/context.ts';
import { isDatabaseAway } from '../../app/execution/databaseAway.ts';
import { cut } from '../../core/values/refusal.ts';

export const UNAUTHENTICATED = 'UNAUTHENTICATED';

/** Turns any error of an operation into the error that the client sees. */
export function presentError(error: unknown, log: Logger): GraphQLError {
  if (error instanceof GraphQLError) {
    if (!error.originalError || error.originalError instanceof GraphQLError)
      return short(explainInput(error));
    return presentFault(error, error.originalError, log);
  }
  return presentFault(null, error, log);
}

/** Messages of graphql-js repeat the values of the caller, of any length. */
function short(error: GraphQLError): GraphQLError {
  const message = cut(error.message);
  if (message === error.message) return error;
  return withMessage(error, message);
}

function withMessage(
  { nodes, source, positions, path, extensions }: GraphQLError,
  message: string,
): GraphQLError {
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    extensions,
  });
}

function presentFault(at: GraphQLError | null, fault: unknown, log: Logger): GraphQLError {
  const place = at ? { nodes: at.nodes ?? null, path: at.path ?? null } : {};
  const refusedAs =
    fault instanceof Forbidden ? 'FORBIDDEN' : fault instanceof Unauthenticated ? UNAUTHENTICATED : null;
  if (refusedAs && fault instanceof Error) {
    return new GraphQLError(fault.message, { ...place, extensions: { code: refusedAs } });
  }
  if (fault instanceof IssuerAway) {
    if (fault.isNews()) log.warn({ error: fault }, 'cannot use the keys of the token issuer');
    return new GraphQLError(fault.message, { ...place, extensions: { code: 'UNAVAILABLE' } });
  }
  if (fault instanceof LaterVersion) {
    return new GraphQLError(fault.message, { ...place, extensions: { code: 'UNAVAILABLE' } });
  }
  if (isDatabaseAway(fault)) {
    log.warn({ error: fault }, 'the database is unreachable');
    const message = 'The database is unreachable at the moment: try again';
    return new GraphQLError(message, { ...place, extensions: { code: 'UNAVAILABLE' } });
  }
  const id = randomUUID();
  log.error({ error: fault, errorId: id }, 'an operation failed');
  return new GraphQLError(`Internal error; the server's log has the details under ${id}`, {
    ...place,
    extensions: { code: 'INTERNAL_SERVER_ERROR', id },
  });
}

/**
 * Removes suggestions, which would reveal names of the schema where introspection is off. They stand at the end of a message,
 * which may have been cut within them.
 */
export function withoutSuggestion(error: GraphQLError): GraphQLError {
  if (!error.message.includes('Did you mean')) return error;
  return withMessage(error, error.message.replace(/ Did you mean [^?]*[?…]$/, ''));
}

/** An invalid value is an error of the caller: adds the path of its field. */
function explainInput(error: GraphQLError): GraphQLError {
  const { code } = error.extensions;
  const inVariable = /^Variable "\$(\w+)" (?:got invalid value|of )/.test(error.message);
  const inLiteral = code === 'BAD_USER_INPUT' && error.path === undefined && !inVariable;
  if (!inVariable && !inLiteral) return error;
  const path = inVariable ? variablePath(error.message) : literalPath(error);
  const named = path.length > 0 && !inVariable ? `${path.join('.')}: ${error.message}` : error.message;
  return new GraphQLError(named, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    extensions: { ...error.extensions, code: 'BAD_USER_INPUT', path },
  });
}

/** graphql-js writes the path in a variable as `at "input.config.steps[0].minutes"`. */
function variablePath(message: string): string[] {
  const place = /^Variable "\$(\w+)"(?: got invalid value .*? at "([^"]+)")?/s.exec(message);
  return (place?.[2] ?? place?.[1] ?? '').split(/[.[\]]+/).filter(Boolean);
}

/** A document with many errors is parsed once. */
const documents = new WeakMap<Source, DocumentNode>();

function documentOf(source: Source): DocumentNode {
  const known = documents.get(source) ?? parse(source);
  documents.set(source, known);
  return known;
}

/** The arguments and fields around the value in the document. */
function literalPath({ nodes }: GraphQLError): string[] {
  const value = nodes?.[0];
  if (!value?.loc) return [];
  const { start, source } = value.loc;
  let found: string[] = [];
  visit(documentOf(source), {
    enter(node, _key, parent, _path, ancestors) {
      if (node.loc?.start !== start || node.kind !== value.kind) return;
      const around = [...ancestors, ...(parent ? [parent] : [])].flatMap((at) => ('kind' in at ? [at] : []));
      found = around.flatMap(nameOf);
    },
  });
  return found;
}

function nameOf(node: ASTNode): string[] {
  return node.kind === Kind.ARGUMENT || node.kind === Kind.OBJECT_FIELD ? [node.name.value] : [];
}
