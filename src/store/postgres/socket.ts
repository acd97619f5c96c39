/**
 * Sockets to PostgreSQL. A server that freezes, or a network that drops packets, closes no socket. Therefore a socket
 * that receives nothing for longer than the statement timeout is destroyed, which fails its pending queries.
 */
import { Socket } from 'node:net';

/** Longer than the statement timeout and than the idle timeout of the pool (`database.ts`), which are 10 s each. */
const SILENT_MS = 15_000;
const POLL_INTERVAL_MS = 2500;

/** The address as the driver has parsed it. Of several hosts, each new connection tries the next. */
export interface Address {
  readonly host: readonly string[];
  readonly port: readonly number[];
  /** A Unix socket instead. */
  readonly path: string | false;
}

/** `host` is read by the driver: the name that the server certificate is checked against. */
type NamedSocket = Socket & { host?: string };

/** Returns a factory of connecting sockets. */
export function createSocketFactory(): (address: Address) => Socket {
  let opened = 0;
  return ({ host, port, path }) => {
    const socket: NamedSocket = new Socket();
    // Sends a second statement immediately instead of after the acknowledgement of the first.
    socket.setNoDelay(true);
    destroyWhenSilent(socket);
    if (path) return socket.connect(path);
    const index = opened % host.length;
    opened += 1;
    socket.host = host[index] ?? 'localhost';
    return socket.connect(port[index] ?? 5432, socket.host);
  };
}

function destroyWhenSilent(socket: Socket): void {
  let read = 0;
  let silentMs = 0;
  const timer = setInterval(() => {
    silentMs = socket.bytesRead === read ? silentMs + POLL_INTERVAL_MS : 0;
    read = socket.bytesRead;
    if (silentMs < SILENT_MS) return;
    socket.destroy(
      Object.assign(new Error(`PostgreSQL sent nothing for ${SILENT_MS / 1000} seconds`), {
        code: 'ETIMEDOUT',
      }),
    );
  }, POLL_INTERVAL_MS);
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
