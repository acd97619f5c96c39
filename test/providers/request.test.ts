/** What holds for every provider, whatever it asks: seen through the HTTP provider. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ask, env, type Handler, make, plain, serve, type TestServer } from './server.ts';

const GOOD = '{"pnlUsd": 12.5, "trades": 7}';
const REPORT = { pnlUsd: '12.5', trades: 7 };
const good: Handler = (_, response) => response.end(GOOD);
const QUICK = { type: 'http', timeoutMs: 2000, retries: 0 };

/** Answers with these handlers, one after the other; the last one again and again. */
const inOrder = (...handlers: Handler[]): Handler => {
  let next = 0;
  return (...exchange) => handlers[Math.min(next++, handlers.length - 1)]?.(...exchange);
};
const status =
  (code: number): Handler =>
  (_, response) =>
    response.writeHead(code).end('broken');

describe('a failure that may pass is tried again', () => {
  test.each([
    ['HTTP 500', status(500)],
    ['HTTP 503', status(503)],
    ['HTTP 429', status(429)],
    ['a cut connection', (request) => request.socket.destroy()],
    [
      'a body that is cut off',
      (_, response) =>
        response.writeHead(200, { 'content-length': 99 }).write(GOOD, () => response.destroy()),
    ],
    ['silence', () => undefined],
  ] satisfies [string, Handler][])('%s, then an answer', async (_, first) => {
    const server = await serve(inOrder(first, good));
    expect(plain(await ask({ ...QUICK, retries: 1, url: server.url }))).toEqual(REPORT);
    expect(server.requests).toHaveLength(2);
  });

  test('but only as often as configured', async () => {
    const server = await serve(status(500));
    const fetched = await ask({ ...QUICK, retries: 2, url: `${server.url}/m` });
    expect(plain(fetched)).toBe(`Provider p: ${server.url}/m answered HTTP 500`);
    expect(server.requests).toHaveLength(3);
  });

  test.each([400, 401, 403, 404, 422])('and HTTP %i is final', async (code) => {
    const server = await serve(inOrder(status(code), good));
    const fetched = await ask({ ...QUICK, retries: 2, url: server.url });
    expect(plain(fetched)).toBe(`Provider p: ${server.url}/ answered HTTP ${code}`);
    expect(server.requests).toHaveLength(1);
  });
});

describe('a server that does not end ends in a failure', () => {
  test.each([
    ['it never answers', () => undefined],
    ['it answers half a body', (_, response) => response.write(GOOD.slice(0, 9))],
    [
      'it sends a byte now and then',
      (_, response) => {
        const dripping = setInterval(() => response.write(' '), 10);
        response.on('close', () => clearInterval(dripping));
      },
    ],
  ] satisfies [string, Handler][])('when %s', async (_, handler) => {
    const server = await serve(handler);
    const begun = performance.now();
    const fetched = await ask({ ...QUICK, timeoutMs: 100, retries: 1, url: server.url });
    expect(plain(fetched)).toBe(
      `Provider p: ${server.url}/ did not answer in full within 100 ms, tried 2 times`,
    );
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test('when nothing listens on the port', async () => {
    const url = await closedPort();
    const fetched = await ask({ ...QUICK, retries: 1, url });
    expect(plain(fetched)).toBe(`Provider p: ${url}/ refused the connection, tried 2 times`);
  });

  test('when the host is not known', async () => {
    // Without a name server in reach, the system looks for it longer than for any answer here.
    const fetched = await ask({ ...QUICK, timeoutMs: 60_000, url: 'http://nowhere.invalid/' });
    expect(plain(fetched)).toMatch(
      /^Provider p: http:\/\/nowhere.invalid\/ has (an unknown host name|a host name that cannot)/,
    );
  });

  test('when the caller gives up', async () => {
    const server = await serve(() => undefined);
    const signal = AbortSignal.timeout(30);
    const fetched = await ask({ ...QUICK, timeoutMs: 5_000, retries: 5, url: server.url }, { signal });
    expect(plain(fetched)).toBe(`Provider p: ${server.url}/ was aborted before it answered`);
    expect(plain(await ask({ ...QUICK, url: server.url }, { signal }))).toContain('was aborted');
  });

  test('when someone gives up between two tries', async () => {
    const server = await serve(status(500));
    const controller = new AbortController();
    // The pause before the next try is 50 ms or longer, and begins when the answer has been read.
    onceRead(server, () => setTimeout(() => controller.abort(), 10));
    const fetched = await ask({ ...QUICK, retries: 5, url: server.url }, { signal: controller.signal });
    expect(plain(fetched)).toBe(`Provider p: ${server.url}/ answered HTTP 500`);
    expect(server.requests).toHaveLength(1);
  });
});

test('a provider says how long a fetch takes at most: every attempt, and the pauses between them', async () => {
  const url = 'http://127.0.0.1:9/';
  expect((await make({ type: 'http', url })).longestMs).toBe(3 * 5000 + 100 + 200 + 100);
  expect((await make({ type: 'http', url, timeoutMs: 60_000, retries: 0 })).longestMs).toBe(60_100);
  const queries = { pnlUsd: 'pnl', trades: 'trades' };
  expect((await make({ type: 'prometheus', url, queries, timeoutMs: 1000, retries: 1 })).longestMs).toBe(
    2200,
  );
});

describe('a large body', () => {
  const tooLarge = 'answered with a body of more than 1048576 bytes';

  test('of 10 MB is not read to its end', async () => {
    let sent = 0;
    const server = await serve((_, response) => {
      const megabyte = Buffer.alloc(1024 * 1024, 32);
      const send = () => {
        if (sent >= 10 || response.destroyed) return;
        sent++;
        response.write(megabyte, () => send());
      };
      send();
    });
    const fetched = await ask({ ...QUICK, retries: 2, url: server.url });
    expect(plain(fetched)).toBe(`Provider p: ${server.url}/ ${tooLarge}`);
    expect(sent).toBeLessThan(10);
    expect(server.requests).toHaveLength(1);
  });

  test('is counted unpacked', async () => {
    const server = await serve((_, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end(gzipSync(Buffer.alloc(10_000_000, 32)));
    });
    expect(plain(await ask({ ...QUICK, url: server.url }))).toContain(tooLarge);
  });

  test('of exactly 1 MiB is fine', async () => {
    const server = await serve((_, response) => response.end(GOOD.padEnd(1024 * 1024)));
    expect(plain(await ask({ ...QUICK, url: server.url }))).toEqual(REPORT);
  });
});

describe('a redirect', () => {
  const redirect =
    (location: string): Handler =>
    (_, response) =>
      response.writeHead(302, { location }).end();

  test('within the host is followed', async () => {
    const server = await serve((request, response, url) =>
      (url.pathname === '/old' ? redirect('/new?x=1') : good)(request, response, url),
    );
    expect(plain(await ask({ ...QUICK, url: `${server.url}/old` }))).toEqual(REPORT);
    expect(server.requests[1]?.url).toBe('/new?x=1');
  });

  test('to another host is not followed', async () => {
    const other = await serve(good);
    const server = await serve(redirect(`${other.url}/steal`));
    const fetched = await ask({ ...QUICK, url: server.url, headers: { authorization: 'Bearer s3cret' } });
    expect(plain(fetched)).toBe(
      `Provider p: ${server.url}/ redirects to ${other.url}, and redirects to another place are not followed`,
    );
    expect(other.requests).toHaveLength(0);
  });

  test('in a circle ends', async () => {
    const server = await serve(redirect('/'));
    expect(plain(await ask({ ...QUICK, url: server.url }))).toContain('redirects more than 3 times');
  });

  test('to nonsense is a failure', async () => {
    const server = await serve(redirect('http://:-1'));
    expect(plain(await ask({ ...QUICK, url: server.url }))).toContain(
      'redirects to something that is not a URL',
    );
  });
});

describe('credentials', () => {
  test('in headers come from the environment', async () => {
    const server = await serve(good);
    const headers = { Authorization: `Bearer ${env('TOKEN')}`, 'X-Org': 'desk' };
    const fetched = await ask({ ...QUICK, url: server.url, headers }, { environment: { TOKEN: 's3cret' } });
    expect(fetched.ok).toBe(true);
    expect(server.requests[0]?.headers).toMatchObject({ authorization: 'Bearer s3cret', 'x-org': 'desk' });
  });

  test('in the URL are sent as a header', async () => {
    const server = await serve(good);
    const fetched = await ask({ ...QUICK, url: server.url.replace('//', '//ann:p%40ss@') });
    expect(fetched.ok).toBe(true);
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${btoa('ann:p@ss')}`);
  });

  test('are in no message, even if the server repeats them', async () => {
    const server = await serve((request, response, url) => {
      const { authorization = '', 'x-key': key } = request.headers;
      const told = `denied: ${authorization} ${key} ${url.search} ${authorization.replace('Basic ', '')}`;
      response.writeHead(403).end(JSON.stringify({ status: 'error', errorType: 'denied', error: told }));
    });
    const fetched = await ask(
      {
        ...QUICK,
        type: 'prometheus',
        url: `${server.url.replace('//', '//ann:hunter22@')}/?token=tok123`,
        headers: { 'X-Key': `Token ${env('KEY')} plain99` },
        queries: { pnlUsd: 'pnl', trades: 'trades' },
      },
      { environment: { KEY: 'envsecret' } },
    );
    const message = plain(fetched);
    expect(message).toContain('denied');
    for (const secret of ['hunter22', 'tok123', 'envsecret', 'plain99', btoa('ann:hunter22')]) {
      expect(message).not.toContain(secret);
    }
  });

  test.each([
    ['nothing is answered', () => undefined],
    ['the connection is cut', (request) => request.socket.destroy()],
    ['the answer is no JSON', (request, response) => response.end(String(request.headers.authorization))],
    [
      'a figure is no number',
      (request, response) =>
        response.end(JSON.stringify({ pnlUsd: request.headers.authorization, trades: 1 })),
    ],
  ] satisfies [string, Handler][])('are in no message when %s', async (_, handler) => {
    const server = await serve(handler);
    const message = plain(await ask({ ...QUICK, url: server.url.replace('//', '//ann:hunter22@') }));
    expect(message).toContain(`Provider p: `);
    expect(message).not.toContain('hunter22');
    expect(message).not.toContain(btoa('ann:hunter22'));
  });
});

/** Calls when the client has the last byte of its first answer from this server, so before it can go on. */
function onceRead(server: TestServer, then: () => void): void {
  const channel = 'undici:request:trailers';
  const listener = (message: unknown) => {
    const { origin } = (message as { request: { origin: string } }).request;
    if (origin !== server.url) return;
    unsubscribe(channel, listener);
    then();
  };
  subscribe(channel, listener);
}

/** An address where nothing listens: the port of a server that has just been closed. */
async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}
