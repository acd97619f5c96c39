/**
 * Closes connections of clients that do not read, whatever the protocol: connections without progress, and connections
 * with too much unsent data. Clients resume their streams from the last cursor.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Most unsent bytes per connection. */
const MAX_UNSENT_BYTES = 16_000_000;
/** How long a connection with unsent data may make no progress. */
const STALLED_MS = 20_000;
const POLL_INTERVAL_MS = 1000;

/** Monitors the connections of a server; returns a function that stops it. */
export function dropSlowClients(server: Server): () => void {
  const connections = new Map<Socket, { sent: number; stalledMs: number }>();
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { sent: 0, stalledMs: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  const poll = setInterval(() => {
    for (const [socket, state] of connections) {
      const unsent = socket.writableLength;
      const sent = socket.bytesWritten - unsent;
      state.stalledMs = unsent > 0 && sent === state.sent ? state.stalledMs + POLL_INTERVAL_MS : 0;
      state.sent = sent;
      if (unsent > MAX_UNSENT_BYTES || state.stalledMs >= STALLED_MS) socket.destroy();
    }
  }, POLL_INTERVAL_MS);
  poll.unref();
  return () => clearInterval(poll);
}
