/**
 * Admission of every HTTP request: it gets an id and security headers, must have an allowed Origin and Host, must stay
 * within the rate, and must be of a kind that no foreign web page can send with a visitor's browser.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { ENDPOINT, type HttpSettings } from '../../environment/limits.ts';
import type { BodiesInFlight } from './bodiesInFlight.ts';
import { type ClientAddresses, isLoopback } from './clientAddresses.ts';
import { rateLimited } from './rateLimits.ts';

export interface Admission {
  /**
   * Calls `proceed` if the request may proceed, immediately where nothing is counted; otherwise responds to it.
   * @param proceed gets the headers that every response to the request must have
   */
  admit(request: IncomingMessage, response: ServerResponse, proceed: (headers: FlatHeaders) => void): void;
  /** The HTTP status that refuses a WebSocket; null if it may be opened. */
  refuseUpgrade(request: IncomingMessage): number | null;
}

export interface AdmissionParts {
  readonly settings: HttpSettings;
  readonly addresses: ClientAddresses;
  readonly bodies: BodiesInFlight;
  /** Whether callers need no credentials; then Serin listens on this machine only. */
  readonly open: boolean;
  readonly onRefusal: (status: number) => void;
}

/** Headers as `writeHead` takes them, names and values in turn: setting each of them takes twice as long. */
export type FlatHeaders = readonly string[];

interface Refusal {
  readonly status: number;
  readonly error: GraphQLError;
}

const SECURITY_HEADERS: FlatHeaders = Object.entries({
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}).flat();

/** What a response of the endpoint depends on. */
const VARY: FlatHeaders = ['vary', 'Accept-Encoding'];

/** Request ids of a proxy or client that are safe to log. */
const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

export function createAdmission({ settings, addresses, bodies, open, onRefusal }: AdmissionParts): Admission {
  const { limits, origins, trustedProxies } = settings;

  /**
   * DNS rebinding: a foreign name that resolves to this machine belongs to a web page, not to a client. The page has no
   * key, so this only matters where callers need none.
   */
  function isUnknownHost({ headers }: IncomingMessage): boolean {
    if (!open || trustedProxies > 0 || headers.host === undefined) return false;
    return !isLoopback(headers.host.replace(/:\d+$/, ''));
  }

  function isUnknownOrigin({ headers }: IncomingMessage): boolean {
    const { origin } = headers;
    if (origin === undefined || origins.includes(origin)) return false;
    return URL.canParse(origin) ? new URL(origin).host !== headers.host?.toLowerCase() : true;
  }

  /** A page of another site that sends without an `Origin`: a GET of an image, a script, a frame or a link. */
  function isForeignFetch({ headers, url }: IncomingMessage): boolean {
    const site = headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none') return false;
    // A link to GraphiQL runs nothing.
    if (headers['sec-fetch-mode'] === 'navigate' && !url?.includes('?')) return false;
    return headers.origin === undefined || !origins.includes(headers.origin);
  }

  function refuse(request: IncomingMessage, atEndpoint: boolean): Refusal | null {
    if (isUnknownHost(request)) {
      return refusal(
        403,
        'FORBIDDEN',
        `${request.headers.host} is not a name of this server: use 127.0.0.1 or localhost`,
      );
    }
    if (!atEndpoint) return null;
    if (isUnknownOrigin(request)) {
      const message = `Pages of ${request.headers.origin} are not allowed to use this API: add the origin to SERIN_ORIGINS`;
      return refusal(403, 'FORBIDDEN', message);
    }
    if (isForeignFetch(request)) {
      const message =
        'Pages of other sites are not allowed to use this API: add their origin to SERIN_ORIGINS';
      return refusal(403, 'FORBIDDEN', message);
    }
    if (request.method !== 'POST') return null;
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
      return refusal(
        415,
        'BAD_REQUEST',
        'The body must be JSON: send it with Content-Type: application/json',
      );
    }
    if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytes) {
      return refusal(413, 'BAD_REQUEST', tooLong(limits.bodyBytes));
    }
    return null;
  }

  function ofOrigin({ headers: { origin } }: IncomingMessage, atEndpoint: boolean): FlatHeaders {
    if (origin === undefined || !origins.includes(origin)) return atEndpoint ? VARY : [];
    return [
      'access-control-allow-origin',
      origin,
      'access-control-expose-headers',
      'x-request-id, retry-after, serin-position',
      'vary',
      'Origin, Accept-Encoding',
    ];
  }

  function headersFor(request: IncomingMessage, atEndpoint: boolean): FlatHeaders {
    const id = identify(request);
    return ['x-request-id', id, ...SECURITY_HEADERS, ...ofOrigin(request, atEndpoint)];
  }

  /** The id of a request, its own or a new one. */
  function identify({ headers }: IncomingMessage): string {
    const sent = headers['x-request-id'];
    const id = typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : randomUUID();
    headers['x-request-id'] = id;
    return id;
  }

  /** Refuses a request beyond the rate of its address, and too many large bodies. */
  function admitCounted(
    request: IncomingMessage,
    response: ServerResponse,
    wait: number | null,
    headers: FlatHeaders,
    proceed: (headers: FlatHeaders) => void,
  ): void {
    const tooMany = wait === null && !bodies.take(request, response);
    if (wait === null && !tooMany) {
      proceed(headers);
      return;
    }
    onRefusal(429);
    setHeaders(response, headers);
    response.setHeader('retry-after', String(wait ?? 1));
    const error = tooMany
      ? rateLimited('with large bodies at a time', 1)
      : rateLimited('from this address', wait ?? 1);
    answer(request, response, { status: 429, error });
  }

  return {
    admit(request, response, proceed) {
      const atEndpoint = pathOf(request) === ENDPOINT;
      const headers = headersFor(request, atEndpoint);
      const refused = refuse(request, atEndpoint);
      if (refused) {
        onRefusal(refused.status);
        setHeaders(response, headers);
        answer(request, response, refused);
        return;
      }
      if (request.method === 'OPTIONS' && atEndpoint) {
        setHeaders(response, headers);
        answerPreflight(request, response);
        return;
      }
      const counted = addresses.overRate(addresses.addressOf(request));
      if (counted === null) admitCounted(request, response, null, headers, proceed);
      else {
        counted.then(
          (wait) => admitCounted(request, response, wait, headers, proceed),
          () => response.destroy(),
        );
      }
    },
    refuseUpgrade(request) {
      if (!isUnknownHost(request) && !isUnknownOrigin(request) && !isForeignFetch(request)) return null;
      onRefusal(403);
      return 403;
    },
  };
}

/** Sets headers one by one, for responses that others add to. */
export function setHeaders(response: ServerResponse, headers: FlatHeaders): void {
  for (let at = 0; at < headers.length; at += 2) {
    response.setHeader(headers[at] ?? '', headers[at + 1] ?? '');
  }
}

export const tooLong = (bytes: number) => `The body must be at most ${bytes} bytes`;

/** The path of a request without its query. */
export function pathOf({ url = '' }: IncomingMessage): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

function refusal(status: number, code: string, message: string): Refusal {
  return { status, error: new GraphQLError(message, { extensions: { code } }) };
}

/** How long the rest of a refused request is read. */
const LINGER_MS = 5000;

/**
 * Responds with a GraphQL error and closes the connection, once the sender has stopped sending: closing earlier would reset
 * the connection, and the sender would lose the response.
 */
function answer(request: IncomingMessage, response: ServerResponse, { status, error }: Refusal): void {
  const body = JSON.stringify({ errors: [error] });
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  if (request.complete || request.headers.expect !== undefined) {
    response.end(body);
    return;
  }
  response.write(body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  request.once('end', end).once('close', end).resume();
}

/** Responds to the preflight request of a browser for a page of another origin. */
function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  if (response.hasHeader('access-control-allow-origin')) {
    response.setHeader('access-control-allow-methods', 'GET, POST');
    response.setHeader(
      'access-control-allow-headers',
      request.headers['access-control-request-headers'] ?? 'content-type',
    );
    response.setHeader('access-control-max-age', '600');
  }
  response.writeHead(204, { allow: 'GET, POST, OPTIONS' }).end();
}
