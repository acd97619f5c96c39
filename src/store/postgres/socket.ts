/**
 * Sockets to PostgreSQL, connected and encrypted before the driver gets them. Of several hosts the first that takes
 * writes is used; a server that says it takes none is given up with all connections to it. A server that freezes, or a
 * network that drops packets, closes nothing: silent sockets are destroyed when no other one gets data from it.
 */
import { connect as connectSocket, isIP, Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect as connectTls } from 'node:tls';
import { type ConnectionTarget, readPem, type TlsSettings } from './connectionString.ts';
import type { Host } from './pgFiles.ts';
import { SLOW_MS, sessionStatement, setUpSession, timedOut, WrongServer } from './session.ts';

/** Longer than the statement timeout and than the idle timeout of the pool (`database.ts`), which are 10 s each. */
const SILENT_MS = 15_000;
const POLL_INTERVAL_MS = 2500;
/** A listening connection on which nothing came for so long asks for a sign of life. */
const PING_AFTER_MS = 4000;
/** One connection that is silent while others are not: longer than a standby that is restarted is away. */
const SILENT_ALONE_MS = 300_000;
/** "Do you speak TLS?": length 8, and a code that is no protocol version. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

interface Heard {
  heardAt: number;
  read: number;
  readonly ping: () => void;
}

export interface SocketFactory {
  /**
   * A connected socket; one that fails immediately where no host can be used. One for listening is asked for a sign of life
   * now and then, as the driver sends nothing on it.
   */
  open(listening: boolean): Promise<Socket>;
  /** Why no connection is used at the moment; null when all is well. */
  refusal(): string | null;
  /** Closes every connection with an error; the next ones begin anew. */
  giveUp(error: Error): void;
  /** Whether a write has found the disk of the server full. Whoever finds space again sets it to false. */
  readonly disk: { full: boolean };
  /** Real milliseconds that the oldest connection has waited for a server of the pooler; null when none waits. */
  waitingForPoolerMs(): number | null;
}

/** @param onServer called when a connection can be used, with the start time of its server */
export function createSocketFactory(
  target: ConnectionTarget,
  schema: string | null,
  onServer: (startedAt: string) => void = () => {},
): SocketFactory {
  const { hosts, server } = target;
  const statement = sessionStatement(target, schema);
  const sockets = new Map<Socket, Heard>();
  const waiting = new Map<Socket, number>();
  let preferred = 0;
  let refusedInARow = 0;
  let refusal: string | null = null;
  const disk = { full: false };
  watchSilence(sockets);

  async function open(listening: boolean): Promise<Socket> {
    let failure: unknown;
    for (let tried = 0; tried < hosts.length; tried += 1) {
      const index = (preferred + tried) % hosts.length;
      const host = hosts[index];
      if (!host) continue;
      try {
        const socket = await reach(host, target);
        preferred = index;
        watch(socket, index, listening);
        return socket;
      } catch (error) {
        failure = error;
      }
    }
    return failing(failure);
  }

  function watch(socket: Socket, index: number, listening: boolean): void {
    socket.once('close', () => {
      sockets.delete(socket);
      waiting.delete(socket);
    });
    const setup = { statement, server, startWithinMs: target.connectTimeoutMs };
    const session = setUpSession(socket, setup, {
      onSlow: () => waiting.set(socket, performance.now()),
      onReady(startedAt) {
        waiting.delete(socket);
        refusedInARow = 0;
        refusal = null;
        onServer(startedAt);
      },
      onRefused(error) {
        refusal = error.message;
        if (!(error instanceof WrongServer)) return void socket.destroy(error);
        refusedInARow += 1;
        if (index === preferred) preferred = (index + 1) % hosts.length;
        // Closed without an error the driver connects again immediately, to the next host; when none is left it gets the reason.
        socket.destroy(refusedInARow % hosts.length === 0 ? error : undefined);
      },
      onReadOnly: () => (server === 'PRIMARY' ? leave(index) : undefined),
      onDiskFull() {
        disk.full = true;
      },
    });
    const ping = listening ? session.ping : null;
    sockets.set(socket, { heardAt: performance.now(), read: socket.bytesRead, ping: () => ping?.() });
  }

  /** A server that has become read-only: every connection to it is one too many. */
  function leave(index: number): void {
    const error = new WrongServer('PostgreSQL takes no writes any more: it is read-only');
    refusal = error.message;
    if (index === preferred) preferred = (index + 1) % hosts.length;
    giveUp(error);
  }

  function giveUp(error: Error): void {
    for (const socket of sockets.keys()) socket.destroy(error);
  }

  return {
    open,
    giveUp,
    disk,
    refusal: () => refusal,
    waitingForPoolerMs() {
      const oldest = Math.min(...waiting.values());
      return waiting.size === 0 ? null : performance.now() - oldest + SLOW_MS;
    },
  };
}

/** A socket that fails: the driver has no other way to learn that there is no connection. */
function failing(cause: unknown): Socket {
  const socket = new Socket();
  const error = cause instanceof Error ? cause : new Error('PostgreSQL cannot be reached');
  setImmediate(() => socket.destroy(error));
  return socket;
}

/** Connects, and speaks TLS as far as it is asked for. */
async function reach(host: Host, target: ConnectionTarget): Promise<Socket> {
  const { mode } = target.tls;
  if (host.host.startsWith('/') || mode === 'disable') return dial(host, target);
  // Plain where the server takes it: it says so only once it knows who comes.
  if (mode === 'allow' && (await takesPlain(host, target))) return dial(host, target);
  return encrypt(await dial(host, target), host, target);
}

async function dial({ host, port }: Host, target: ConnectionTarget): Promise<Socket> {
  const { connectTimeoutMs, keepAliveSeconds } = target;
  const socket = host.startsWith('/')
    ? connectSocket(`${host}/.s.PGSQL.${port}`)
    : connectSocket({ host, port, autoSelectFamily: true });
  // Sends a second statement immediately instead of after the acknowledgement of the first.
  socket.setNoDelay(true);
  socket.setKeepAlive(keepAliveSeconds > 0, keepAliveSeconds * 1000);
  await within(connectTimeoutMs, socket, `${host}:${port}`, (done) => socket.once('connect', done));
  return socket;
}

/** Waits for something on a socket; destroys it when it fails or takes too long. */
function within<T>(
  ms: number,
  socket: Socket,
  where: string,
  wait: (done: (value: T) => void, failed: (error: Error) => void) => void,
): Promise<T> {
  return new Promise<T>((done, failed) => {
    const late = setTimeout(() => {
      fail(timedOut(`PostgreSQL at ${where} does not answer`));
    }, ms);
    const fail = (error: Error) => {
      clearTimeout(late);
      socket.destroy();
      failed(error);
    };
    socket.once('error', fail);
    wait((value) => {
      clearTimeout(late);
      socket.removeListener('error', fail);
      done(value);
    }, fail);
  });
}

async function encrypt(socket: Socket, host: Host, target: ConnectionTarget): Promise<Socket> {
  const where = `${host.host}:${host.port}`;
  const { tls, connectTimeoutMs } = target;
  if (!tls.direct) {
    socket.write(SSL_REQUEST);
    const answer = await within<Buffer>(connectTimeoutMs, socket, where, (done) => socket.once('data', done));
    if (answer.toString('latin1') !== 'S') {
      if (tls.mode === 'prefer' || tls.mode === 'allow') return socket;
      socket.destroy();
      throw new Error(`PostgreSQL at ${where} speaks no TLS, and sslmode=${tls.mode} asks for it`);
    }
  }
  const secure = connectTls({ socket, ...tlsOptions(tls, host) });
  await within(connectTimeoutMs, secure, where, (done) =>
    secure.once('secureConnect', () => done(undefined)),
  );
  return secure;
}

function tlsOptions(
  { mode, rootCert, cert, key, keyPassword, direct }: TlsSettings,
  { host }: Host,
): ConnectionOptions {
  const verifies = mode === 'verify-ca' || mode === 'verify-full';
  return {
    ...(isIP(host) ? {} : { servername: host }),
    ...(direct ? { ALPNProtocols: ['postgresql'] } : {}),
    ...(rootCert && verifies ? { ca: readPem('sslrootcert', rootCert) } : {}),
    ...(cert && key ? { cert: readPem('sslcert', cert), key: readPem('sslkey', key) } : {}),
    ...(keyPassword ? { passphrase: keyPassword } : {}),
    rejectUnauthorized: verifies,
    // Names and addresses alike: for an address the certificate must have it as an IP name.
    checkServerIdentity: (_name, certificate) =>
      mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
  };
}

/** Whether the server accepts this user without TLS; asked once a connection, as rules may change. */
async function takesPlain(host: Host, target: ConnectionTarget): Promise<boolean> {
  const socket = await dial(host, target);
  const body = Buffer.from(`user\0${target.user}\0database\0${target.database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.writeUInt32BE(196_608, 4);
  socket.write(Buffer.concat([head, body]));
  const answer = await within<Buffer>(target.connectTimeoutMs, socket, host.host, (done) =>
    socket.once('data', done),
  );
  socket.destroy();
  return answer.toString('latin1', 0, 1) !== 'E';
}

/**
 * A connection on which nothing comes may wait for a commit that waits for a standby: giving it up would leave its backend
 * running and open another. So it is kept while any other connection gets data from the server, and destroyed when none does.
 */
function watchSilence(sockets: Map<Socket, Heard>): void {
  setInterval(() => {
    const now = performance.now();
    for (const [socket, state] of sockets) {
      if (socket.bytesRead === state.read) {
        if (now - state.heardAt > PING_AFTER_MS) state.ping();
        continue;
      }
      state.read = socket.bytesRead;
      state.heardAt = now;
    }
    const lastHeard = Math.max(...[...sockets.values()].map(({ heardAt }) => heardAt));
    const error = timedOut(`PostgreSQL sent nothing for ${SILENT_MS / 1000} seconds`);
    const allSilent = now - lastHeard >= SILENT_MS;
    for (const [socket, { heardAt }] of sockets) {
      if (allSilent || now - heardAt >= SILENT_ALONE_MS) socket.destroy(error);
    }
  }, POLL_INTERVAL_MS).unref();
}
