/**
 * Clients that do not take what they are sent, whatever they speak: a connection on which nothing moves, or for which
 * too much has gathered, is closed. Streams are resumed from their cursor, by the client and when it likes.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Bytes that may wait for one connection. */
const MAX_WAITING = 16_000_000;
/** How long a connection may take nothing while something waits for it. */
const STALLED_MS = 20_000;
const POLL_INTERVAL_MS = 1000;

/** Watches the connections of a server. Answers how to stop. */
export function dropSlowClients(server: Server): () => void {
  const connections = new Map<Socket, { taken: number; stalledMs: number }>();
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { taken: 0, stalledMs: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  const look = setInterval(() => {
    for (const [socket, seen] of connections) {
      const waiting = socket.writableLength;
      const taken = socket.bytesWritten - waiting;
      seen.stalledMs = waiting > 0 && taken === seen.taken ? seen.stalledMs + POLL_INTERVAL_MS : 0;
      seen.taken = taken;
      if (waiting > MAX_WAITING || seen.stalledMs >= STALLED_MS) socket.destroy();
    }
  }, POLL_INTERVAL_MS);
  look.unref();
  return () => clearInterval(look);
}
