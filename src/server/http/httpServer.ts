/** The HTTP server: listens, admits requests, serves each path, and drains on stop. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ENDPOINT } from '../../environment/limits.ts';
import { type FlatHeaders, pathOf, setHeaders } from '../pipeline/admission.ts';
import { type SocketParts, serveWebSocket } from '../webSocket/webSocketServer.ts';
import { loadConsole } from './consoleFiles.ts';
import { createGraphiql } from './graphiql.ts';
import { isPlain, serveOther, servePlain } from './graphqlHttp.ts';
import { UpgradableRequest, useOriginForm } from './incomingRequest.ts';
import { notFound, OPERATOR_ENDPOINTS, type OperatorParts } from './operatorEndpoints.ts';
import { dropSlowClients } from './slowClients.ts';
import { createOpenStreams } from './sse.ts';

export type HttpParts = OperatorParts & Omit<SocketParts, 'limits'>;

export interface HttpServer {
  readonly url: string;
  /** Accepts no more requests, lets requests in flight finish, and ends the streams. */
  stop(): Promise<void>;
}

/** Pages for a browser, and the files they load. */
interface Pages {
  /** Responds to a request for a page or a file; false if it is for neither. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

/** How long requests in flight may take once the server stops. */
const DRAIN_MS = 3000;

const MAX_HEADER_BYTES = 16_384;

export async function startHttpServer(parts: HttpParts, host: string, port: number): Promise<HttpServer> {
  const streams = createOpenStreams();
  const pages: Pages[] = [await loadConsole()];
  if (parts.settings.introspection) pages.unshift(createGraphiql());
  const handle = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => {
    useOriginForm(request);
    try {
      parts.admission.admit(request, response, (headers) => {
        if (expectsContinue) response.writeContinue();
        streams.add(request, response);
        serve(parts, pages, request, response, headers);
      });
    } catch (error) {
      parts.log.error({ error }, 'a request could not be answered');
      response.destroy();
    }
  };
  const options = {
    ...requestTimeouts(parts.settings.limits.headersTimeoutMs),
    IncomingMessage: UpgradableRequest,
  };
  const server = createServer(options, (request, response) => handle(request, response, false));
  // A client that asks first need not send a body that is refused.
  server.on('checkContinue', (request, response) => handle(request, response, true));
  server.on('upgrade', useOriginForm);
  parts.addresses.boundConnections(server);
  server.keepAliveTimeout = 65_000;
  const stopSockets = serveWebSocket(server, { ...parts, limits: parts.settings.limits });
  const stopWatching = dropSlowClients(server);
  await listen(server, host, port);
  server.on('error', (error) => parts.log.warn({ error }, 'a connection could not be accepted'));
  return {
    url: urlOf(server, host),
    async stop() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      const forceCloseTimer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      streams.destroyAll();
      await stopSockets();
      server.closeIdleConnections();
      await closed;
      clearTimeout(forceCloseTimer);
      stopWatching();
    },
  };
}

/** Bounds slow senders: a client that sends a byte now and then cannot keep a connection. */
function requestTimeouts(headersTimeout: number) {
  return {
    headersTimeout,
    requestTimeout: 3 * headersTimeout,
    connectionsCheckingInterval: headersTimeout / 4,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
}

function serve(
  parts: HttpParts,
  pages: readonly Pages[],
  request: IncomingMessage,
  response: ServerResponse,
  headers: FlatHeaders,
): void {
  const fail = () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(500, [...headers]).end();
  };
  if (isPlain(request)) {
    servePlain(parts, request, response, headers).catch(fail);
    return;
  }
  setHeaders(response, headers);
  const path = pathOf(request);
  const endpoint = OPERATOR_ENDPOINTS[path];
  const isOperation = path === ENDPOINT && request.method === 'POST';
  if (!endpoint && !isOperation && pages.some((each) => each.answer(request, response))) return;
  if (path === ENDPOINT) {
    serveOther(parts, request, response).catch(fail);
    return;
  }
  const answer = endpoint ?? notFound;
  answer(parts, request).then(({ status, type, body }) => {
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
    response.end(body);
  }, fail);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((done, failed) => {
    const fail = ({ message }: Error) =>
      failed(new Error(`HOST ${host} and PORT ${port} cannot be listened on: ${message}`));
    server.once('error', fail);
    server.listen(port, host, () => {
      server.removeListener('error', fail);
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
