/**
 * Closes connections of clients that do not read, whatever the protocol: connections without progress, and streams with
 * too much unsent data, which resume from their last cursor. A whole response, such as a large export, may be larger than
 * that: it is in memory already and does not grow, so its client only has to read on.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Most unsent bytes per connection, unless they are whole responses. */
const MAX_UNSENT_BYTES = 16_000_000;
/** How long a connection with unsent data may make no progress. */
const STALLED_MS = 20_000;
/** Least progress in that time while more than {@link MAX_UNSENT_BYTES} are unsent. */
const LEAST_BYTES = 1_000_000;
const POLL_INTERVAL_MS = 1000;

interface Connection {
  /** Bytes sent when the client last made enough progress, and the time since. */
  sent: number;
  stalledMs: number;
  /** Responses that are not yet sent completely, and such that have been since the last check. */
  responses: readonly ServerResponse[];
}

/** Of a connection that waits: many do. */
const NONE: readonly ServerResponse[] = [];

/** Monitors the connections of a server; returns a function that stops it. */
export function dropSlowClients(server: Server): () => void {
  const connections = new Map<Socket, Connection>();
  // One listener for all connections: one for each would be the larger part of what is kept of it.
  function forget(this: Socket): void {
    connections.delete(this);
  }
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { sent: 0, stalledMs: 0, responses: NONE });
    socket.on('close', forget);
  });
  const keep = ({ socket }: IncomingMessage, response: ServerResponse) => {
    const connection = connections.get(socket);
    if (!connection) return;
    const { responses } = connection;
    // One at a time, unless a client sends the next request before it has the response.
    const onlyOne = responses.length === 0 || (responses.length === 1 && isSent(responses[0]));
    connection.responses = onlyOne ? [response] : [...responses, response];
  };
  server.on('request', keep);
  server.on('checkContinue', keep);
  const poll = setInterval(() => {
    for (const [socket, connection] of connections) {
      const waiting = connection.responses.filter((each) => !isSent(each));
      connection.responses = waiting.length > 0 ? waiting : NONE;
      if (isTooSlow(socket, connection)) socket.destroy();
    }
  }, POLL_INTERVAL_MS);
  poll.unref();
  return () => clearInterval(poll);
}

function isTooSlow(socket: Socket, connection: Connection): boolean {
  const unsent = socket.writableLength;
  const sent = socket.bytesWritten - unsent;
  const large = unsent > MAX_UNSENT_BYTES;
  const progress = sent - connection.sent;
  if (unsent === 0 || progress >= (large ? LEAST_BYTES : 1)) {
    connection.sent = sent;
    connection.stalledMs = 0;
  } else connection.stalledMs += POLL_INTERVAL_MS;
  return connection.stalledMs >= STALLED_MS || (large && !isWhole(connection));
}

/** Whether everything that waits belongs to responses that have ended: nothing is added to it. */
function isWhole({ responses }: Connection): boolean {
  return responses.length > 0 && responses.every(({ writableEnded }) => writableEnded);
}

const isSent = (response: ServerResponse | undefined) => response?.writableFinished === true;
