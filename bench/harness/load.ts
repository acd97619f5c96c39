/**
 * The load generator: a process of its own that keeps one request under way on each of its connections. It writes
 * requests made beforehand and reads no more of an answer than its length, so that on a small machine it takes as
 * little as it can from what it measures; well-known load generators took more than half of the two cores.
 */
import { connect } from 'node:net';
import { sayReady } from './child.ts';
import { isOrder, type LoadFigures, type LoadOrder } from './order.ts';

function requestsOf({ url, bodies, actor }: LoadOrder, connection: number): Buffer[] {
  const { host, pathname } = new URL(url);
  const lines = (method: string, more: string) =>
    `${method} ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${actor ? `X-Serin-Actor: ${actor}\r\n` : ''}${more}\r\n`;
  const own = bodies?.[connection % bodies.length];
  if (!own) return [Buffer.from(lines('GET', ''))];
  return own.map((body) => {
    const head = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    return Buffer.from(lines('POST', head) + body);
  });
}

/** Whether an answer is complete, and whether it is a 2xx. */
function look(answer: Buffer): { readonly whole: boolean; readonly ok: boolean } {
  const end = answer.indexOf('\r\n\r\n');
  if (end < 0) return { whole: false, ok: false };
  const head = answer.toString('latin1', 0, end);
  const ok = head.startsWith('HTTP/1.1 2');
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) return { whole: answer.length >= end + 4 + Number(length), ok };
  return { whole: answer.toString('latin1', answer.length - 5) === '0\r\n\r\n', ok };
}

/** One connection: sends its requests in turn until it is stopped, and counts what comes back. */
function keepAsking(
  order: LoadOrder,
  connection: number,
  goesOn: () => boolean,
  answered: (ms: number, ok: boolean) => void,
): Promise<void> {
  const requests = requestsOf(order, connection);
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(order.url).port), noDelay: true });
  return new Promise((done, failed) => {
    let next = 0;
    let sentAt = 0;
    let received = Buffer.alloc(0);
    const send = () => {
      if (!goesOn()) return void socket.end();
      sentAt = performance.now();
      socket.write(requests[next % requests.length] ?? '');
      next += 1;
    };
    socket.on('connect', send);
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const { whole, ok } = look(received);
      if (!whole) return;
      received = Buffer.alloc(0);
      answered(performance.now() - sentAt, ok);
      send();
    });
    socket.on('error', failed);
    socket.on('close', () => done());
  });
}

async function run(order: LoadOrder): Promise<LoadFigures> {
  const times: number[] = [];
  let failed = 0;
  let sent = 0;
  const began = performance.now();
  const goesOn = () => {
    sent += 1;
    return order.amount === undefined
      ? performance.now() - began < order.seconds * 1000
      : sent <= order.amount;
  };
  const answered = (ms: number, ok: boolean) => {
    times.push(ms);
    if (!ok) failed += 1;
  };
  const connections = Array.from({ length: order.connections }, (_, index) => index);
  await Promise.all(connections.map((connection) => keepAsking(order, connection, goesOn, answered)));
  const seconds = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { perSecond: times.length / seconds, total: times.length, p50: at(0.5), p99: at(0.99), failed };
}

process.on('message', (order) => {
  if (!isOrder(order)) throw new Error('that is no order');
  run(order).then(
    (figures) => process.send?.(figures),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
sayReady('ready');
