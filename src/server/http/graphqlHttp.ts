/**
 * The common request (a POST of JSON that wants JSON back) without the costs of the Fetch API around it, which take
 * three quarters of the time of a small answer. It is parsed, validated and executed by the same pipeline; whatever is not
 * plain (other methods and types, streams, other origins, bodies and documents that cannot be read) is Yoga's to answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ExecutionResult, getOperationAST, OperationTypeNode } from 'graphql';
import { type GraphQLParams, processRegularResult } from 'graphql-yoga';
import type { Access } from '../../access/access.ts';
import type { Actor } from '../../access/actor.ts';
import { schema } from '../../graphql/schema.ts';
import { readCredentials } from '../pipeline/authentication.ts';
import { readJson } from '../pipeline/body.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';

/** Larger bodies take the long way; bytes. */
const MAX_BODY = 100_000;

/** What clients accept, as they write it, and what they get. Anything else is negotiated by Yoga. */
const ACCEPTED: ReadonlyMap<string | undefined, string> = new Map([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['application/json', 'application/json'],
  ['application/graphql-response+json', 'application/graphql-response+json'],
  ['application/graphql-response+json, application/json', 'application/graphql-response+json'],
]);

const CONTENT_TYPE = /^application\/json(; ?charset=utf-8)?$/i;

/** Whether a request is of the common kind. */
export function isPlainPost({ method, headers, url }: IncomingMessage, endpoint: string): boolean {
  return (
    method === 'POST' &&
    url === endpoint &&
    CONTENT_TYPE.test(headers['content-type'] ?? '') &&
    ACCEPTED.has(headers.accept) &&
    Number(headers['content-length'] ?? MAX_BODY + 1) <= MAX_BODY &&
    headers.origin === undefined &&
    headers['content-encoding'] === undefined
  );
}

interface GraphqlHttpParts {
  readonly access: Access;
  readonly graphql: GraphQLServer;
}

/** Answers a common request. Who is not known is told so by Yoga, before the body is read. */
export async function servePlainPost(
  { access, graphql }: GraphqlHttpParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { yoga } = graphql;
  const actor = await access.identify(readCredentials(undefined, request)).catch(() => null);
  if (!actor) return yoga(request, response);
  const body = await bodyOf(request);
  if (body === null) return;
  const params = commonParams(body);
  const result = params && (await answerTo(graphql, params, actor, request));
  if (!result) return send(await yoga.fetch(asFetched(yoga, request, body), { req: request }), response);
  const type = ACCEPTED.get(request.headers.accept) ?? 'application/json';
  if (result.errors || result.extensions?.http) {
    return send(processRegularResult(result, yoga.fetchAPI, type), response);
  }
  const text = JSON.stringify(result);
  await endOfEventLoopTurn();
  response.writeHead(200, {
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

let ending: Promise<void> | null = null;

/**
 * When this turn of the event loop has read what there is to read. Answers are written then, one right after the other: the
 * first wakes whoever waits for them (another process, a proxy), and the others find it awake. Waking costs more than
 * answering.
 */
function endOfEventLoopTurn(): Promise<void> {
  ending ??= new Promise((over) => {
    setImmediate(() => {
      ending = null;
      over();
    });
  });
  return ending;
}

interface Params extends GraphQLParams {
  readonly query: string;
}

/** What to execute; null where the body is not as it should be. */
function commonParams(body: Uint8Array): Params | null {
  const params = jsonOf(body);
  return isCommonParams(params) ? params : null;
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

function isCommonParams(params: unknown): params is Params {
  return (
    isMap(params) &&
    'query' in params &&
    Object.entries(params).every(([name, value]) => Object.hasOwn(EXPECTED, name) && EXPECTED[name]?.(value))
  );
}

/** The result of a query or mutation; null where another is asked for, and Yoga has to say what becomes of it. */
function answerTo(
  { read, contextOf, run }: GraphQLServer,
  { query, operationName, variables: variableValues }: Params,
  actor: Actor,
  req: IncomingMessage,
): Promise<ExecutionResult> | ExecutionResult | null {
  const document = read(query);
  if (!('definitions' in document)) return { errors: document };
  const operation = getOperationAST(document, operationName);
  if (!operation || operation.operation === OperationTypeNode.SUBSCRIPTION) return null;
  const contextValue = { ...contextOf(actor), req };
  return run({ schema, document, contextValue, variableValues, operationName });
}

function bodyOf(request: IncomingMessage): Promise<Buffer<ArrayBuffer> | null> {
  return new Promise((done) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => done(Buffer.concat(chunks)));
    request.on('error', () => done(null));
    request.on('close', () => done(null));
  });
}

/** The same request for Yoga. */
function asFetched(
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

async function send(answer: Response, response: ServerResponse): Promise<void> {
  const body = await answer.text();
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(body);
}
