/**
 * The console: static files that `npm run build` puts into `dist/console`, read once when the server starts. Its pages
 * load nothing from elsewhere, and their names with a hash may be cached indefinitely.
 */
import { hash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pathOf } from '../pipeline/admission.ts';
import { acceptedCoding, CODINGS } from '../pipeline/contentEncoding.ts';

export interface ConsoleFiles {
  /** Answers a request for a file or a page of the console; false when it is for neither. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

/** The same folder from the sources and from the build: both lie three folders deep. */
const FOLDER = fileURLToPath(new URL('../../../dist/console/', import.meta.url));

/** First parts of the addresses that the console draws itself; all of them are its one page. */
const PAGES: ReadonlySet<string> = new Set([
  '',
  'administration',
  'new',
  'deployments',
  'history',
  'policy',
  'safety',
  'strategies',
]);

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Scripts, styles and connections of this origin alone, nothing inline, nothing embedded, nowhere embedded. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const NOT_BUILT = 'The console is not built: run "npm run build". The API is at /graphql.\n';

type Encoding = 'br' | 'gzip' | 'identity';

type Bodies = Partial<Record<Encoding, Buffer>> & Record<'identity', Buffer>;

interface File {
  readonly type: string;
  readonly etag: string;
  /** The page itself, which names the others, is asked for anew each time; the others never change. */
  readonly cache: string;
  readonly bodies: Bodies;
}

const ENDINGS: Readonly<Record<string, Encoding>> = { '.br': 'br', '.gz': 'gzip' };

/** Reads the built console. Where it was not built its pages say so. */
export async function loadConsole(folder: string = FOLDER): Promise<ConsoleFiles> {
  const files = await readFiles(folder);
  const page = files.get('/index.html');
  return {
    answer(request, response) {
      const path = pathOf(request);
      const isPage = PAGES.has(path.split('/')[1] ?? '');
      const file = files.get(path) ?? (isPage ? page : undefined);
      if (!file && !isPage) return false;
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { allow: 'GET, HEAD' }).end();
      } else if (file) {
        send(file, request, response);
      } else {
        response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
        response.end(NOT_BUILT);
      }
      return true;
    },
  };
}

function send(file: File, request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('content-security-policy', POLICY);
  response.setHeader('cache-control', file.cache);
  response.setHeader('etag', file.etag);
  response.setHeader('vary', 'Accept-Encoding');
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304).end();
    return;
  }
  const available = CODINGS.filter((coding) => file.bodies[coding]);
  const encoding = acceptedCoding(request.headers['accept-encoding'], available) ?? 'identity';
  const body = file.bodies[encoding] ?? file.bodies.identity;
  if (encoding !== 'identity') response.setHeader('content-encoding', encoding);
  response.writeHead(200, { 'content-type': file.type, 'content-length': body.length });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function readFiles(folder: string): Promise<Map<string, File>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const contents = new Map(
    await Promise.all(paths.map(async (path): Promise<[string, Buffer]> => [path, await readFile(path)])),
  );
  const files = new Map<string, File>();
  for (const [path, identity] of contents) {
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    const bodies: Bodies = { identity };
    for (const [ending, encoding] of Object.entries(ENDINGS)) {
      const compressed = contents.get(path + ending);
      if (compressed) bodies[encoding] = compressed;
    }
    const address = `/${relative(folder, path).split(sep).join('/')}`;
    files.set(address, {
      type,
      etag: `"${hash('sha256', identity, 'base64url').slice(0, 22)}"`,
      cache: address.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      bodies,
    });
  }
  return files;
}
