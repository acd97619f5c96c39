/** The one port: GraphQL over HTTP and SSE, WebSocket upgrades, and what operators and load balancers ask. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Access } from '../../access/access.ts';
import type { DoorSettings } from '../../environment/limits.ts';
import type { Feed } from '../../feed/feed.ts';
import { ENDPOINT } from '../endpoint.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import type { SubscriptionPlaces } from '../pipeline/subscriptionQuota.ts';
import type { Metrics } from '../telemetry/prometheus.ts';
import { serveWebSocket } from '../webSocket/webSocketServer.ts';
import type { Gate } from './admission.ts';
import type { Addresses } from './clientAddresses.ts';
import { answerCommon, isCommon } from './graphqlHttp.ts';
import { dropSlowClients } from './slowClients.ts';

export interface HttpParts {
  readonly access: Access;
  readonly feed: Feed;
  readonly graphql: GraphQLServer;
  readonly gate: Gate;
  readonly addresses: Addresses;
  readonly places: SubscriptionPlaces;
  readonly settings: DoorSettings;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
}

export interface Readiness {
  /** What is missing for work, in a sentence; null when nothing is. */
  readonly missing: string | null;
  /** What works, but needs an operator. */
  readonly warnings: readonly string[];
}

export interface HttpServer {
  readonly url: string;
  /** Takes no more requests, lets those under way finish, and ends the streams. */
  stop(): Promise<void>;
}

/** How long requests under way may take once the server stops. */
const DRAIN_MS = 3000;

const MAX_HEADER_BYTES = 16_384;

export async function startHttpServer(parts: HttpParts, host: string, port: number): Promise<HttpServer> {
  const streams = new Set<ServerResponse>();
  const server = createServer(arrivalWithin(parts.settings.limits.arrivalMs), (request, response) => {
    parts.gate.admit(request, response).then(
      (admitted) => {
        if (!admitted) return;
        if (wantsStream(request)) {
          streams.add(response);
          response.once('close', () => streams.delete(response));
        }
        serve(parts, request, response);
      },
      () => response.destroy(),
    );
  });
  parts.addresses.boundConnections(server);
  server.keepAliveTimeout = 65_000;
  const stopSockets = serveWebSocket(server, { ...parts, limits: parts.settings.limits });
  const stopWatching = dropSlowClients(server);
  await listen(server, host, port);
  return {
    url: urlOf(server, host),
    async stop() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      const impatient = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      // A stream that is cut is resumed elsewhere; one that ends in order would be taken for complete.
      for (const stream of streams) stream.destroy();
      await stopSockets();
      server.closeIdleConnections();
      await closed;
      clearTimeout(impatient);
      stopWatching();
    },
  };
}

/** Who sends a byte now and then keeps no connection. */
function arrivalWithin(headersTimeout: number) {
  return {
    headersTimeout,
    requestTimeout: 3 * headersTimeout,
    connectionsCheckingInterval: headersTimeout / 4,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
}

function wantsStream({ headers }: IncomingMessage): boolean {
  return headers.accept?.includes('text/event-stream') ?? false;
}

function serve(parts: HttpParts, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?')[0];
  if (path === ENDPOINT) {
    const answered = isCommon(request, ENDPOINT)
      ? answerCommon(parts, request, response)
      : Promise.resolve(parts.graphql.yoga(request, response));
    answered.catch(() => (response.headersSent ? response.destroy() : response.writeHead(500).end()));
    return;
  }
  const answer = OPERATIONS[path ?? ''] ?? notFound;
  answer(parts, request).then(
    ({ status, type, body }) => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(body);
    },
    () => response.writeHead(500).end(),
  );
}

interface PlainAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = (status: number, value: unknown): PlainAnswer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});

type Answering = (parts: HttpParts, request: IncomingMessage) => Promise<PlainAnswer>;

const OPERATIONS: Readonly<Record<string, Answering>> = {
  '/health': async () => json(200, { status: 'ok' }),
  '/ready': async ({ readiness }) => {
    const { missing, warnings } = await readiness();
    return missing === null
      ? json(200, { status: 'ready', ...(warnings.length > 0 ? { warnings } : {}) })
      : json(503, { status: 'not ready', missing });
  },
  '/metrics': async ({ access, metrics, settings: { metricsToken } }, { headers }) => {
    if (!access.open && !brings(headers.authorization, metricsToken)) return json(401, { error: NO_FIGURES });
    return { status: 200, type: metrics.contentType, body: await metrics.text() };
  },
};

/** Figures are of all strategies, and told while the database is away: no key of a caller can open them. */
const NO_FIGURES =
  'Figures are for whoever brings "Authorization: Bearer …" with the SERIN_METRICS_TOKEN of this node';

/** Takes the same time wherever the two differ. */
function brings(authorization: string | undefined, token: string | null): boolean {
  if (token === null || authorization === undefined) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(authorization), digest(`Bearer ${token}`));
}

const notFound = async () =>
  json(404, {
    error: `Nothing is here. Serin's API is at ${ENDPOINT}; /health, /ready and /metrics are beside it`,
  });

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(port, host, () => {
      server.removeListener('error', failed);
      done();
    });
  });
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  const { port } = isAddress(address) ? address : { port: 0 };
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
