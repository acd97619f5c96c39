/**
 * Looks into a node through Node's own inspector (`--inspect`): what is left on its heap once everything that nobody
 * holds is gone, and which connections it has. Figures that the garbage of the moment does not blur.
 */
import { WebSocket } from 'ws';
import type { SerinNode } from '../faults/nodes.ts';

/** For {@link SerinNode}: an inspector on a free port. */
export const INSPECTED = ['--inspect=127.0.0.1:0'] as const;

export interface Inside {
  readonly rss: number;
  /** After a full collection. */
  readonly heapUsed: number;
  /** TCP connections, of clients and to PostgreSQL. */
  readonly sockets: number;
}

const LOOK = `(() => {
  const { rss, heapUsed } = process.memoryUsage();
  const sockets = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
  return { rss, heapUsed, sockets };
})()`;

/** Collects the garbage of a node and looks. `url` is the inspector's. */
export async function lookInside(url: string): Promise<Inside> {
  const socket = new WebSocket(url);
  await new Promise<void>((done, failed) => {
    socket.once('open', done);
    socket.once('error', failed);
  });
  const call = (id: number, method: string, params: Record<string, unknown> = {}) =>
    new Promise<{ result: { value: Inside } }>((answered) => {
      socket.on('message', (text) => {
        const answer = JSON.parse(text.toString());
        if (answer.id === id) answered(answer.result);
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
  // Twice: what waits for a finaliser goes with the second.
  await call(1, 'HeapProfiler.collectGarbage');
  await call(2, 'HeapProfiler.collectGarbage');
  const { result } = await call(3, 'Runtime.evaluate', { expression: LOOK, returnByValue: true });
  socket.terminate();
  return result.value;
}

/** Where the inspector of a node that has just started listens. */
export function inspectorOf(node: SerinNode): string {
  const url = /Debugger listening on (ws:\S+)/.exec(node.said())?.[1];
  if (!url) throw new Error(`${node.name} has no inspector: ${node.said()}`);
  return url;
}
