/**
 * What every HTTP request passes before any door: it gets an id and safe headers, must come from a page and for a host
 * that are ours, must not come too often, and must be of a kind that no web page can send in a visitor's name.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { ENDPOINT, type HttpSettings } from '../../environment/limits.ts';
import { type ClientAddresses, isLoopback } from './clientAddresses.ts';
import { rateLimited } from './rateLimits.ts';

export interface Admission {
  /** Lets a request pass, or answers it. */
  admit(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** Why a WebSocket may not be opened, as an HTTP status; null when it may. */
  refuseUpgrade(request: IncomingMessage): number | null;
}

export interface AdmissionParts {
  readonly settings: HttpSettings;
  readonly addresses: ClientAddresses;
  /** Whether nothing is asked of callers; then Serin listens on this machine only. */
  readonly open: boolean;
  readonly onRefusal: (status: number) => void;
}

interface Refusal {
  readonly status: number;
  readonly error: GraphQLError;
}

const SAFE_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

/** GraphiQL brings its scripts, styles and workers with it. */
const PAGE_POLICY =
  "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' ws: wss:; frame-ancestors 'none'";

/** An id that a proxy or client gave, if it may stand in a log. */
const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

export function createAdmission({ settings, addresses, open, onRefusal }: AdmissionParts): Admission {
  const { limits, origins, introspection, trustedProxies } = settings;

  /**
   * A name that leads to this machine only by a trick of DNS is a web page's, not a client's. Such a page has no key:
   * it is to be feared where none is asked for.
   */
  function isUnknownHost({ headers }: IncomingMessage): boolean {
    if (!open || trustedProxies > 0 || headers.host === undefined) return false;
    return !isLoopback(headers.host.replace(/:\d+$/, ''));
  }

  function isUnknownOrigin({ headers }: IncomingMessage): boolean {
    const { origin } = headers;
    if (origin === undefined || origins.includes(origin)) return false;
    return URL.canParse(origin) ? new URL(origin).host !== headers.host : true;
  }

  function refuse(request: IncomingMessage): Refusal | null {
    if (isUnknownHost(request)) {
      return refusal(
        403,
        'FORBIDDEN',
        `Serin is not known as ${request.headers.host}: use 127.0.0.1 or localhost`,
      );
    }
    if (pathOf(request) !== ENDPOINT) return null;
    if (isUnknownOrigin(request)) {
      const message = `Pages of ${request.headers.origin} may not use this API: name the origin in SERIN_ORIGINS`;
      return refusal(403, 'FORBIDDEN', message);
    }
    if (request.method !== 'POST') return null;
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
      return refusal(415, 'BAD_REQUEST', 'The body must be JSON: send it as Content-Type: application/json');
    }
    if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytes) {
      return refusal(413, 'BAD_REQUEST', tooLong(limits.bodyBytes));
    }
    return null;
  }

  function allowOrigin(request: IncomingMessage, response: ServerResponse): void {
    const { origin } = request.headers;
    if (origin === undefined || !origins.includes(origin)) return;
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('access-control-expose-headers', 'x-request-id, retry-after');
    response.setHeader('vary', 'Origin');
  }

  return {
    async admit(request, response) {
      const given = request.headers['x-request-id'];
      const id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
      request.headers['x-request-id'] = id;
      response.setHeader('x-request-id', id);
      for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
      const wantsPage = request.method === 'GET' && (request.headers.accept ?? '').includes('text/html');
      if (introspection && wantsPage) response.setHeader('content-security-policy', PAGE_POLICY);
      allowOrigin(request, response);

      const refused = refuse(request);
      if (refused) {
        onRefusal(refused.status);
        answer(response, refused);
        return false;
      }
      if (request.method === 'OPTIONS' && pathOf(request) === ENDPOINT) {
        answerPreflight(request, response);
        return false;
      }
      const wait = await addresses.overRate(addresses.addressOf(request));
      if (wait === null) return true;
      onRefusal(429);
      response.setHeader('retry-after', String(wait));
      answer(response, { status: 429, error: rateLimited('from this address', wait) });
      return false;
    },
    refuseUpgrade(request) {
      if (!isUnknownHost(request) && !isUnknownOrigin(request)) return null;
      onRefusal(403);
      return 403;
    },
  };
}

export const tooLong = (bytes: number) => `The body must be at most ${bytes} bytes`;

function pathOf({ url }: IncomingMessage): string | undefined {
  return url?.split('?')[0];
}

function refusal(status: number, code: string, message: string): Refusal {
  return { status, error: new GraphQLError(message, { extensions: { code } }) };
}

/** Says no in the words of GraphQL; what is left of the request is not read. */
function answer(response: ServerResponse, { status, error }: Refusal): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', connection: 'close' });
  response.end(JSON.stringify({ errors: [error] }));
}

/** What a browser asks before a page of another origin may send its request. */
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
