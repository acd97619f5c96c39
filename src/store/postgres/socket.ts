/**
 * The socket of a connection to PostgreSQL. A server that freezes, or a network that swallows what is sent, closes
 * nothing: a line on which nothing has come for longer than a statement may take is given up, so that whoever waits
 * on it hears of it.
 */
import { Socket } from 'node:net';

/** Longer than a statement may run, and longer than the pool keeps an idle connection. */
const SILENT_MS = 15_000;
const POLL_INTERVAL_MS = 2500;

/** Where to connect, as the driver has parsed it; several hosts are tried one after the other. */
export interface Address {
  readonly host: readonly string[];
  readonly port: readonly number[];
  /** A Unix socket instead. */
  readonly path: string | false;
}

/** What the driver reads off its socket: the name that a certificate is checked against. */
type NamedSocket = Socket & { host?: string };

/** Answers a factory of sockets, each of them connecting. */
export function createSocketFactory(): (address: Address) => Socket {
  let opened = 0;
  return ({ host, port, path }) => {
    const socket: NamedSocket = new Socket();
    // A statement that follows another goes out at once, and not when the first is acknowledged.
    socket.setNoDelay(true);
    destroyWhenSilent(socket);
    if (path) return socket.connect(path);
    const turn = opened % host.length;
    opened += 1;
    socket.host = host[turn] ?? 'localhost';
    return socket.connect(port[turn] ?? 5432, socket.host);
  };
}

function destroyWhenSilent(socket: Socket): void {
  let read = 0;
  let silentMs = 0;
  const look = setInterval(() => {
    silentMs = socket.bytesRead === read ? silentMs + POLL_INTERVAL_MS : 0;
    read = socket.bytesRead;
    if (silentMs < SILENT_MS) return;
    socket.destroy(
      Object.assign(new Error(`PostgreSQL said nothing for ${SILENT_MS / 1000} seconds`), {
        code: 'ETIMEDOUT',
      }),
    );
  }, POLL_INTERVAL_MS);
  look.unref();
  socket.once('close', () => clearInterval(look));
}
