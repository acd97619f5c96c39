/**
 * GraphiQL, served offline at the endpoint to browsers where introspection is on. Its scripts, styles and workers are files
 * of this server, so that its policy admits neither inline scripts nor `eval`. Its package is nine megabytes: it is loaded
 * when a browser asks for the first of these files.
 */
import { hash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ENDPOINT } from '../../environment/limits.ts';
import { pathOf } from '../pipeline/admission.ts';
import { acceptedCoding, type Coding, compress } from '../pipeline/contentEncoding.ts';

const FIRST_QUERY = `# Serin: canary deployments of trading strategies. The documentation is in the schema (book icon).
query Deployments {
  deployments(first: 10) {
    nodes {
      id strategyId status canaryVersionId stableVersionId observationRemainingSeconds
      comparison { decision decisionReasons }
    }
  }
}
`;

const OPTIONS = { title: 'Serin', subscriptionsProtocol: 'WS', query: FIRST_QUERY };

/** Before GraphiQL: where its workers are, and the nonce for the style elements that its editor makes. */
const BEFORE = `
const { nonce } = document.currentScript;
const createElement = document.createElement;
document.createElement = function (...args) {
  const element = createElement.apply(this, args);
  if (element.localName === 'style') element.nonce = nonce;
  return element;
};
self.MonacoEnvironment = { globalAPI: false, getWorkerUrl: (_module, label) => '${ENDPOINT}/' + label + '.worker.js' };
`;
const START = `;YogaGraphiQL.renderYogaGraphiQL(document.querySelector('#root'), ${JSON.stringify(OPTIONS)});`;

const PAGE = (nonce: string) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>${OPTIONS.title}</title>
    <link rel="icon" href="${ENDPOINT}/favicon.ico" />
    <link rel="stylesheet" href="${ENDPOINT}/graphiql.css" />
  </head>
  <body id="body" class="no-focus-outline">
    <noscript>GraphiQL needs JavaScript.</noscript>
    <div id="root"></div>
    <script src="${ENDPOINT}/graphiql.js" nonce="${nonce}"></script>
  </body>
</html>
`;

/** Scripts and workers of this server alone. The editor places its lines with style attributes, which run nothing. */
const policy = (nonce: string) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    `style-src-elem 'self' 'nonce-${nonce}'`,
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

type Package = typeof import('@graphql-yoga/render-graphiql/graphiql');

interface Source {
  readonly type: string;
  readonly body: (from: Package) => Buffer;
}

const JAVASCRIPT = 'text/javascript; charset=utf-8';
const FILES: Readonly<Record<string, Source>> = {
  'graphiql.js': { type: JAVASCRIPT, body: ({ js }) => Buffer.from(BEFORE + js + START) },
  'graphiql.css': { type: 'text/css; charset=utf-8', body: ({ css }) => Buffer.from(css) },
  'editorWorkerService.worker.js': {
    type: JAVASCRIPT,
    body: ({ editorWorkerService }) => Buffer.from(editorWorkerService),
  },
  'graphql.worker.js': { type: JAVASCRIPT, body: ({ graphqlWorker }) => Buffer.from(graphqlWorker) },
  'json.worker.js': { type: JAVASCRIPT, body: ({ jsonWorker }) => Buffer.from(jsonWorker) },
  'favicon.ico': {
    type: 'image/x-icon',
    body: ({ favicon }) => Buffer.from(favicon.slice(favicon.indexOf(',') + 1), 'base64'),
  },
};

interface File {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
  /** Compressed once, when a browser asks for it first. */
  readonly compressed: Map<Coding, Promise<Buffer>>;
}

export interface Graphiql {
  /** Responds to a request for the page or one of its files; false if it is for neither. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

export function createGraphiql(): Graphiql {
  const files = new Map<string, Promise<File>>();
  const fileAt = (path: string): Promise<File> | null => {
    const name = path.slice(ENDPOINT.length + 1);
    const made = files.get(name);
    if (made) return made;
    const source = path.startsWith(`${ENDPOINT}/`) && Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    if (!source) return null;
    const file = makeFile(source);
    files.set(name, file);
    return file;
  };
  return {
    answer(request, response) {
      if (request.method !== 'GET') return false;
      const path = pathOf(request);
      if (path === ENDPOINT && request.headers.accept?.includes('text/html')) {
        sendPage(response);
        return true;
      }
      const file = fileAt(path);
      if (file) sendFile(file, request, response).catch(() => response.destroy());
      return file !== null;
    },
  };
}

async function makeFile({ type, body: bodyFrom }: Source): Promise<File> {
  const body = bodyFrom(await import('@graphql-yoga/render-graphiql/graphiql'));
  const etag = `"${hash('sha256', body, 'base64url').slice(0, 22)}"`;
  return { type, etag, body, compressed: new Map() };
}

function sendPage(response: ServerResponse): void {
  const nonce = randomBytes(16).toString('base64');
  response.setHeader('content-security-policy', policy(nonce));
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(PAGE(nonce));
}

async function sendFile(
  made: Promise<File>,
  { headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const file = await made;
  response.setHeader('cache-control', 'no-cache');
  response.setHeader('etag', file.etag);
  response.setHeader('vary', 'Accept-Encoding');
  if (headers['if-none-match'] === file.etag) {
    response.writeHead(304).end();
    return;
  }
  const coding = acceptedCoding(headers['accept-encoding']);
  if (coding) response.setHeader('content-encoding', coding);
  const body = coding ? await compressedBody(file, coding) : file.body;
  response.writeHead(200, { 'content-type': file.type, 'content-length': body.length }).end(body);
}

function compressedBody({ body, compressed }: File, coding: Coding): Promise<Buffer> {
  const made = compressed.get(coding) ?? compress(body, coding);
  compressed.set(coding, made);
  return made;
}
