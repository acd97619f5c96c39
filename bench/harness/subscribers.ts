/**
 * Many WebSocket clients in a process of their own: they follow, count what comes, and say when all of it has come. From the
 * second delivery on a client only counts frames: `ws` takes longer to receive a message than it takes to send one, and the
 * clients would be what is measured.
 */
import { connect as connectTo, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { sayReady } from './child.ts';
import { countFrames } from './frames.ts';

/** Connects the given number of clients. `subscribe` is what each sends once it is acknowledged; without it, the socket is bare. */
export interface Connect {
  readonly url: string;
  readonly count: number;
  readonly subscribe: string | null;
}

/** Called when the given number of deliveries has come altogether since connecting. */
export interface Await {
  readonly deliveries: number;
}

const now = () => performance.timeOrigin + performance.now();
const sockets: WebSocket[] = [];
let delivered = 0;
let wanted = Number.POSITIVE_INFINITY;

function count(): void {
  delivered += 1;
  if (delivered === wanted) process.send?.({ at: now() });
}

function connect({ url, subscribe }: Connect): Promise<void> {
  return new Promise((done, failed) => {
    const { hostname: host, port } = new URL(url);
    const line: Socket = connectTo(Number(port), host);
    const protocols = subscribe === null ? [] : ['graphql-transport-ws'];
    const socket = new WebSocket(url, protocols, { createConnection: () => line });
    sockets.push(socket);
    socket.on('error', failed);
    socket.on('open', () => {
      if (subscribe === null) done();
      else socket.send('{"type":"connection_init"}');
    });
    socket.on('message', (data: Buffer) => {
      if (data.includes('"type":"next"')) {
        countFrames(line, count);
        return count();
      }
      if (subscribe !== null && data.includes('connection_ack')) return socket.send(subscribe, () => done());
      if (data.includes('"type":"ping"')) return socket.send('{"type":"pong"}');
      // An error after the subscription began has no other listener.
      process.stderr.write(`${data.toString()}\n`);
      failed(new Error(data.toString()));
    });
  });
}

async function connectAll(order: Connect): Promise<void> {
  for (let from = 0; from < order.count; from += 200) {
    const some = Math.min(200, order.count - from);
    await Promise.all(Array.from({ length: some }, () => connect(order)));
  }
}

process.on('message', (order: Connect | Await) => {
  if ('deliveries' in order) {
    wanted = order.deliveries;
    if (delivered >= wanted) process.send?.({ at: now() });
    return;
  }
  connectAll(order).then(
    () => process.send?.({ at: now() }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
sayReady('ready');
