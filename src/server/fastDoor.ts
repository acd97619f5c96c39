/**
 * The common request (a POST of JSON that wants JSON back) without the costs of the Fetch API around it, which take
 * three quarters of the time of a small answer. It goes through the same pipeline, hook by hook; whatever is not plain
 * (other methods and types, streams, other origins, errors before execution) is Yoga's to answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isAsyncIterable, processRegularResult } from 'graphql-yoga';
import type { Access } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { introductionOf } from './authentication.ts';
import type { GraphQLServer, SocketContext } from './graphqlServer.ts';

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
export function isCommon({ method, headers, url }: IncomingMessage, endpoint: string): boolean {
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

interface DoorParts {
  readonly access: Access;
  readonly yoga: GraphQLServer;
}

/** Answers a common request. Who is not known is told so by Yoga, before the body is read. */
export async function answerCommon(
  { access, yoga }: DoorParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const actor = await access.identify(introductionOf(undefined, request)).catch(() => null);
  if (!actor) return yoga(request, response);
  const body = await bodyOf(request);
  if (body === null) return;
  const asked = () =>
    new yoga.fetchAPI.Request(`http://${request.headers.host ?? 'localhost'}${request.url}`, {
      method: 'POST',
      headers: headersOf(request),
      body,
    });
  const type = ACCEPTED.get(request.headers.accept) ?? 'application/json';
  const quick = await quickAnswer(yoga, actor, asked(), type);
  if (typeof quick === 'string') {
    response.writeHead(200, {
      'content-type': `${type}; charset=utf-8`,
      'content-length': Buffer.byteLength(quick),
    });
    response.end(quick);
    return;
  }
  await send(quick ?? (await yoga.fetch(asked())), response);
}

/** The text of a plain result, the response of one with errors, or null where Yoga has to answer. */
async function quickAnswer(
  yoga: GraphQLServer,
  actor: Actor,
  request: Request,
  type: string,
): Promise<string | Response | null> {
  const context: SocketContext = { actor };
  try {
    const { requestParserResult: params } = await yoga.parseRequest(request, { actor, waitUntil() {} });
    if (!params || Array.isArray(params) || mayStream(params.query)) return null;
    const result = await yoga.getResultForParams({ params, request }, context);
    if (isAsyncIterable(result)) throw new Error('a query answered with a stream');
    if (result.errors || result.extensions?.http) return processRegularResult(result, yoga.fetchAPI, type);
    return JSON.stringify(result);
  } catch (error) {
    // Yoga puts the parameters into the context when it begins to execute: from then on nothing is done again.
    if ('params' in context) throw error;
    return null;
  }
}

/** A document that speaks of subscriptions may want a stream. */
function mayStream(query: string | undefined): boolean {
  return query?.includes('subscription') ?? true;
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

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const single: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) single[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return single;
}

async function send(answer: Response, response: ServerResponse): Promise<void> {
  const body = await answer.text();
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(body);
}
