/**
 * The GraphQL endpoint over HTTP, in two ways. A plain request (a POST of JSON that accepts JSON) is read and answered
 * without the Fetch API, which takes three quarters of the time of a small response. Everything else (other methods and
 * types, streams, other origins, invalid bodies and documents) goes through Yoga. Both ways use the same pipeline: `PLAIN`
 * lists all that differs.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ExecutionResult, GraphQLError, getOperationAST, OperationTypeNode } from 'graphql';
import { type GraphQLParams, type Plugin, processRegularResult } from 'graphql-yoga';
import type { Access } from '../../access/access.ts';
import type { Actor } from '../../access/actor.ts';
import { ENDPOINT } from '../../environment/limits.ts';
import { schema } from '../../graphql/schema.ts';
import { type FlatHeaders, setHeaders } from '../pipeline/admission.ts';
import { readCredentials } from '../pipeline/authentication.ts';
import { readJson } from '../pipeline/body.ts';
import { acceptedCoding, compress, MIN_COMPRESSED_BYTES } from '../pipeline/contentEncoding.ts';
import type { OperationOrigin } from '../pipeline/operation.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import { streamHeaders } from './sse.ts';

/** Larger bodies go through Yoga, bytes. */
const MAX_BODY = 100_000;

/** `Accept` as clients write it, and the type of the response. Yoga negotiates anything else. */
const ACCEPTED: ReadonlyMap<string | undefined, string> = new Map([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['application/graphql-response+json', 'application/graphql-response+json'],
  ['application/graphql-response+json, application/json', 'application/graphql-response+json'],
]);

const CONTENT_TYPE = /^application\/json(; ?charset=utf-8)?$/i;

/** What makes a request plain. If one condition does not hold, the request goes through Yoga. */
const PLAIN: readonly ((request: IncomingMessage) => boolean)[] = [
  ({ method }) => method === 'POST',
  ({ url }) => url === ENDPOINT,
  ({ headers }) => CONTENT_TYPE.test(headers['content-type'] ?? ''),
  ({ headers }) => ACCEPTED.has(headers.accept),
  ({ headers }) => Number(headers['content-length'] ?? MAX_BODY + 1) <= MAX_BODY,
  ({ headers }) => headers.origin === undefined,
  ({ headers }) => headers['content-encoding'] === undefined,
];

/** What HTTP adds to Yoga: the headers of streams, compression. */
export const httpPlugins = (): Plugin[] => [explainNotAcceptable(), streamHeaders(), compressResponses()];

/** Adds a message to Yoga's response 406, which has none: multipart subscriptions, for example, are not supported. */
function explainNotAcceptable(): Plugin {
  const message =
    'None of the accepted types can be sent: accept application/json or application/graphql-response+json for queries ' +
    'and mutations, text/event-stream for subscriptions, or subscribe over WebSocket (graphql-transport-ws)';
  return {
    onResponse({ response, setResponse, fetchAPI }) {
      if (response.status !== 406) return;
      const errors = [new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })];
      const headers = new fetchAPI.Headers(response.headers);
      headers.set('content-type', 'application/json; charset=utf-8');
      headers.delete('content-length');
      setResponse(new fetchAPI.Response(JSON.stringify({ errors }), { status: 406, headers }));
    },
  };
}

/** Compresses Yoga's responses, except for streams. */
function compressResponses(): Plugin {
  return {
    async onResponse({ request, response, setResponse, fetchAPI }) {
      const type = response.headers.get('content-type') ?? '';
      const coding = /json|html/.test(type) ? acceptedCoding(request.headers.get('accept-encoding')) : null;
      if (!coding || response.headers.has('content-encoding')) return;
      const { status, statusText, headers } = response;
      const body = Buffer.from(await response.arrayBuffer());
      const compressed = body.length >= MIN_COMPRESSED_BYTES ? await compress(body, coding) : body;
      if (compressed !== body) headers.set('content-encoding', coding);
      headers.set('content-length', String(compressed.length));
      setResponse(new fetchAPI.Response(new Uint8Array(compressed), { status, statusText, headers }));
    },
  };
}

export interface GraphqlHttpParts {
  readonly access: Access;
  readonly graphql: GraphQLServer;
}

/** Whether a request is a plain one for the endpoint. */
export const isPlain = (request: IncomingMessage): boolean => PLAIN.every((holds) => holds(request));

/** Responds to any other request for the endpoint. */
export async function serveOther(
  { graphql }: GraphqlHttpParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await graphql.yoga(request, response);
}

/**
 * Responds to a plain request.
 * @param headers those that every response must have
 */
export async function servePlain(
  { access, graphql }: GraphqlHttpParts,
  request: IncomingMessage,
  response: ServerResponse,
  headers: FlatHeaders,
): Promise<void> {
  const { yoga } = graphql;
  const identified = identify(access, request);
  const actor = identified instanceof Promise ? await identified : identified;
  if (!actor) {
    // Yoga responds to unauthenticated callers, before the body is read.
    setHeaders(response, headers);
    return yoga(request, response);
  }
  const body = await bodyOf(request);
  if (body === null) return;
  const params = plainParams(body);
  const origin = { req: request, res: response, characters: body.length };
  const result = params && (await execute(graphql, params, actor, origin));
  const type = ACCEPTED.get(request.headers.accept) ?? 'application/json';
  if (!result) return send(await yoga.fetch(toFetchRequest(yoga, request, body), origin), headers, response);
  if (result.errors || result.extensions?.http) {
    return send(processRegularResult(result, yoga.fetchAPI, type), headers, response);
  }
  const ofJson = [...headers, 'content-type', `${type}; charset=utf-8`];
  await sendJson(JSON.stringify(result), ofJson, request, response);
}

/** The actor of a request; null if there is none. Not a promise where nothing is looked up. */
function identify(access: Access, { headers }: IncomingMessage): Promise<Actor | null> | Actor | null {
  try {
    const actor = access.identify(readCredentials(undefined, headers));
    return actor instanceof Promise ? actor.catch(() => null) : actor;
  } catch {
    return null;
  }
}

async function sendJson(
  text: string,
  headers: string[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const coding =
    text.length >= MIN_COMPRESSED_BYTES ? acceptedCoding(request.headers['accept-encoding']) : null;
  if (coding) {
    const body = await compress(Buffer.from(text), coding);
    headers.push('content-encoding', coding, 'content-length', String(body.length));
    response.writeHead(200, headers).end(body);
    return;
  }
  headers.push('content-length', String(Buffer.byteLength(text)));
  await endOfEventLoopTurn();
  response.writeHead(200, headers).end(text);
}

let ending: Promise<void> | null = null;

/**
 * Responses of one event-loop turn are flushed together: each separate write would wake the peer, which costs more than
 * the response.
 */
function endOfEventLoopTurn(): Promise<void> {
  ending ??= new Promise((resolve) => {
    setImmediate(() => {
      ending = null;
      resolve();
    });
  });
  return ending;
}

/** The parameters of a plain body; null if it is invalid. */
function plainParams(body: Uint8Array): GraphQLParams | null {
  const params = jsonOf(body);
  return arePlainParams(params) ? params : null;
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return readJson(body);
  } catch {
    return null;
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const EXPECTED: Readonly<Record<string, (value: unknown) => boolean>> = {
  query: (value) => typeof value === 'string',
  variables: (value) => value === null || isMap(value),
  operationName: (value) => value === null || typeof value === 'string',
  extensions: (value) => value === null || isMap(value),
};

function arePlainParams(params: unknown): params is GraphQLParams {
  return (
    isMap(params) &&
    ('query' in params || 'extensions' in params) &&
    Object.entries(params).every(([name, value]) => Object.hasOwn(EXPECTED, name) && EXPECTED[name]?.(value))
  );
}

/** The result of a query or mutation; null for anything else, to which Yoga responds. */
function execute(
  { read, contextOf, run, persistedQueries }: GraphQLServer,
  params: GraphQLParams,
  actor: Actor,
  origin: Pick<OperationOrigin, 'req' | 'res' | 'characters'>,
): Promise<ExecutionResult> | ExecutionResult | null {
  const resolved = resolvePersisted(persistedQueries, params);
  if (resolved instanceof GraphQLError) return { errors: [resolved] };
  const { query, operationName, variables: variableValues } = resolved;
  if (!query) return null;
  const document = read(query);
  if (!('definitions' in document)) return { errors: document };
  const operation = getOperationAST(document, operationName);
  if (!operation || operation.operation === OperationTypeNode.SUBSCRIPTION) return null;
  const contextValue = contextOf(actor, origin);
  return run({ schema, document, contextValue, variableValues, operationName });
}

function resolvePersisted(
  { resolve }: GraphQLServer['persistedQueries'],
  params: GraphQLParams,
): GraphQLParams | GraphQLError {
  try {
    return resolve(params);
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

/** The body of a request; null if the client disconnects. */
function bodyOf(request: IncomingMessage): Promise<Buffer<ArrayBuffer> | null> {
  return new Promise((resolve) => {
    const chunks: Buffer<ArrayBuffer>[] = [];
    request.on('data', (chunk: Buffer<ArrayBuffer>) => chunks.push(chunk));
    request.on('end', () => {
      const [first, ...more] = chunks;
      resolve(first && more.length === 0 ? first : Buffer.concat(chunks));
    });
    // It comes after the end, after an error, and when the client disconnects.
    request.on('close', () => {
      if (!request.readableEnded) resolve(null);
    });
  });
}

/** The same request for Yoga. */
function toFetchRequest(
  { fetchAPI }: GraphQLServer['yoga'],
  { headers, url }: IncomingMessage,
  body: Buffer<ArrayBuffer>,
): Request {
  const single: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) single[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return new fetchAPI.Request(`http://${headers.host ?? 'localhost'}${url}`, {
    method: 'POST',
    headers: single,
    body,
  });
}

async function send(answer: Response, headers: FlatHeaders, response: ServerResponse): Promise<void> {
  const body = Buffer.from(await answer.arrayBuffer());
  setHeaders(response, headers);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(body);
}
