/** A web server for the files of a folder, as a front end of its own origin has one. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

export interface StaticFiles {
  /** `http://127.0.0.1:PORT`, also the origin of its pages. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves a folder; `/` is its index.html, and what is not there is 204, so that no browser complains of an icon. */
export async function serveFiles(folder: string): Promise<StaticFiles> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://here');
    const path = join(folder, pathname === '/' ? 'index.html' : pathname);
    const content = await readFile(path).catch(() => null);
    if (content === null) response.writeHead(204).end();
    else response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
