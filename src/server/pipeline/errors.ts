/**
 * What clients are told when something is no domain answer: a code, a sentence, and for what is our fault an id that
 * the log has too. Nothing of the inside is shown.
 */
import { randomUUID } from 'node:crypto';
import { type ASTNode, GraphQLError, Kind, parse, visit } from 'graphql';
import type { Logger } from 'pino';
import { Forbidden } from '../../access/permissions.ts';
import { IssuerAway } from '../../access/token.ts';
import { Unauthenticated } from '../../access/unauthenticated.ts';

export const UNAUTHENTICATED = 'UNAUTHENTICATED';

const AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'WAITED_TOO_LONG',
  // A statement that ran out of time, and a transaction that was idle for too long.
  '57014',
  '25P03',
]);

/** Whether an error says that the database cannot be reached or does not answer in time: classes 08, 53, 57P too. */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? String(cause.code) : '';
    if (AWAY.has(code) || /^(08|53|57P)/.test(code)) return true;
  }
  return false;
}

/** Turns any error of an operation into what the client may see. */
export function presentError(error: unknown, log: Logger): GraphQLError {
  if (error instanceof GraphQLError) {
    if (!error.originalError || error.originalError instanceof GraphQLError) return explainInput(error);
    return presentFault(error, error.originalError, log);
  }
  return presentFault(null, error, log);
}

function presentFault(at: GraphQLError | null, fault: unknown, log: Logger): GraphQLError {
  const place = at ? { nodes: at.nodes ?? null, path: at.path ?? null } : {};
  const refusedAs =
    fault instanceof Forbidden ? 'FORBIDDEN' : fault instanceof Unauthenticated ? UNAUTHENTICATED : null;
  if (refusedAs && fault instanceof Error) {
    return new GraphQLError(fault.message, { ...place, extensions: { code: refusedAs } });
  }
  if (fault instanceof IssuerAway) {
    log.warn({ error: fault }, 'the keys of the token issuer cannot be had');
    return new GraphQLError(fault.message, { ...place, extensions: { code: 'UNAVAILABLE' } });
  }
  if (isDatabaseAway(fault)) {
    log.warn({ error: fault }, 'the database cannot be reached');
    const message = 'The database cannot be reached at the moment: nothing was answered, try again';
    return new GraphQLError(message, { ...place, extensions: { code: 'UNAVAILABLE' } });
  }
  const id = randomUUID();
  log.error({ error: fault, errorId: id }, 'an operation failed');
  return new GraphQLError(`Something went wrong on the server; its log knows more under ${id}`, {
    ...place,
    extensions: { code: 'INTERNAL_SERVER_ERROR', id },
  });
}

/** Where the schema is not shown, mistakes do not show it either, neither those of documents nor those of variables. */
export function withoutSuggestion(error: GraphQLError): GraphQLError {
  if (!error.message.includes('Did you mean')) return error;
  const { nodes, source, positions, path, extensions } = error;
  return new GraphQLError(error.message.replace(/ Did you mean [^?]*\?$/, ''), {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    extensions,
  });
}

/** A value that cannot be read is the caller's mistake: the error says which field it stands in. */
function explainInput(error: GraphQLError): GraphQLError {
  const given = error.extensions.code;
  const inVariable = /^Variable "\$(\w+)" (?:got invalid value|of )/.test(error.message);
  const inLiteral = given === 'BAD_USER_INPUT' && error.path === undefined && !inVariable;
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

/** graphql-js names the place in a variable as `at "input.config.steps[0].minutes"`. */
function variablePath(message: string): string[] {
  const place = /^Variable "\$(\w+)"(?: got invalid value .*? at "([^"]+)")?/s.exec(message);
  return (place?.[2] ?? place?.[1] ?? '').split(/[.[\]]+/).filter(Boolean);
}

/** The arguments and fields around the value in the document. */
function literalPath({ nodes }: GraphQLError): string[] {
  const value = nodes?.[0];
  if (!value?.loc) return [];
  const { start, source } = value.loc;
  let found: string[] = [];
  visit(parse(source), {
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
