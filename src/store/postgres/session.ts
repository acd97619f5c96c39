/**
 * The settings of every connection. A role or a database may have defaults that change what is read, and a pooler passes
 * no settings on that a connection asks for at its start: so they are set by a statement, and verified, before the
 * driver may use the connection. Here it is found out, too, whether the server takes writes.
 */
import type { Socket } from 'node:net';
import type { ConnectionTarget } from './connectionString.ts';

/** How long a statement may take, in milliseconds. */
export const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * How long anything may take. A statement that waits longer (for a lock, usually) is better tried again; a transaction
 * that its node has forgotten, because it is paused or its network is gone, must not hold a row or the log indefinitely.
 */
const LIMITS = {
  statement_timeout: String(STATEMENT_TIMEOUT_MS),
  idle_in_transaction_session_timeout: '10000',
  tcp_keepalives_idle: '15',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
};

/** What decides how values are read and written, whatever the role or the database has as its default. */
const PINNED = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  lock_timeout: '0',
  array_nulls: 'on',
  transform_null_equals: 'off',
  // A commit that was not waited for is said in a warning.
  client_min_messages: 'warning',
};

/** The server takes no writes: another one, or a later time, will. Nothing was done. */
export class WrongServer extends Error {
  readonly code = 'WRONG_SERVER';
}

/** The error of a connection on which an answer takes too long. */
export const timedOut = (message: string): Error => Object.assign(new Error(message), { code: 'ETIMEDOUT' });

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The statement that sets up a session; its last row is what {@link checkSession} reads. */
export function sessionStatement({ settings, server }: ConnectionTarget, schema: string | null): string {
  const own = Object.entries(settings).filter(([name]) => name !== 'search_path');
  // The time limit first: until it is set, the role's own may end a statement. Last, too: nothing changes it.
  const first: [string, string] = ['statement_timeout', LIMITS.statement_timeout];
  const all = [first, ...own, ...Object.entries(PINNED), ...Object.entries(LIMITS)];
  const set = all.map(
    ([name, value]) => `set ${name.split('.').map(identifier).join('.')} to ${quoted(value)}`,
  );
  return [
    ...set,
    `set search_path to ${identifier(schema ?? 'public')}`,
    // A server that turns out to take writes gets none from a connection for reading.
    ...(server === 'PRIMARY' ? [] : ['set default_transaction_read_only to on']),
    // An answer means that it is on disk.
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
    `select pg_is_in_recovery()::text, current_setting('transaction_read_only'), current_setting('statement_timeout'),
      current_setting('server_encoding'), pg_postmaster_start_time()::text`,
  ].join('; ');
}

/** Why a server takes no writes, from its `pg_is_in_recovery()` and `transaction_read_only`; null if it takes them. */
export function writeRefusal(recovering: boolean, readOnly: boolean): string | null {
  if (recovering) return 'the PostgreSQL server is a standby (in recovery) and takes no writes';
  if (readOnly)
    return 'PostgreSQL takes no writes: transactions are read-only (default_transaction_read_only)';
  return null;
}

/** Why a session cannot be used; null when it can. */
function checkSession(row: readonly (string | null)[], server: ConnectionTarget['server']): Error | null {
  const [recovering, readOnly, timeout, encoding] = row;
  const refusal = server === 'PRIMARY' ? writeRefusal(recovering === 'true', readOnly === 'on') : null;
  if (refusal !== null) return new WrongServer(refusal);
  if (server === 'STANDBY' && recovering !== 'true')
    return new WrongServer('the PostgreSQL server is no standby, which target_session_attrs asks for');
  if (timeout !== `${STATEMENT_TIMEOUT_MS / 1000}s`)
    return new Error(`the settings of a session do not hold: statement_timeout is ${timeout}`);
  if (encoding !== 'UTF8') {
    return new Error(
      `the database has the encoding ${encoding}, which cannot hold every text: create one with ENCODING 'UTF8'`,
    );
  }
  return null;
}

/** Is notified of the steps of setting up a session. */
export interface SessionObserver {
  /** It takes long: a pooler has no server for it. */
  onSlow(): void;
  /** It can be used. `startedAt` is when its server started, as PostgreSQL writes it. */
  onReady(startedAt: string): void;
  /** It cannot be used. The observer destroys the socket. */
  onRefused(error: Error): void;
  /** The server has refused a write because it is read-only by now. */
  onReadOnly(): void;
  /** The server had no space for a write. */
  onDiskFull(): void;
}

/** From then on a session that is being set up counts as one that waits. */
export const SLOW_MS = 3000;
/** SQLSTATE of a write for which the disk has no space. */
export const DISK_FULL = '53100';
/** A SQLSTATE in an error message of the protocol. No text holds a NUL. */
const protocolError = (code: string) => Buffer.from(`VERROR\0C${code}\0`);
const READ_ONLY_ERROR = protocolError('25006');
const DISK_FULL_ERROR = protocolError(DISK_FULL);
/** SQLSTATE of a statement that a time limit ended: the role's own, while ours is not set yet. */
const CANCELED = '57014';
const SETUP_ATTEMPTS = 5;
const [READY, ERROR, ROW, EMPTY] = ['Z', 'E', 'D', 'I'].map((letter) => letter.charCodeAt(0));

type Listener = (chunk: Buffer) => void;

export interface SessionSetup {
  readonly statement: string;
  readonly server: ConnectionTarget['server'];
  /** Real milliseconds that the server may take until the user is logged in. */
  readonly startWithinMs: number;
}

export interface Session {
  /** Asks the server for a sign of life, which the driver does not see. Only while no statement runs. */
  ping(): void;
}

/**
 * Sends the statement when the server is ready for the first time, and lets the driver know that it is ready only then.
 * The driver's listener gets everything else unchanged.
 */
export function setUpSession(socket: Socket, setup: SessionSetup, observer: SessionObserver): Session {
  const session: { ping: () => void } = { ping: () => {} };
  const on = socket.on.bind(socket);
  const removeListener = socket.removeListener.bind(socket);
  const wrapped = new Map<unknown, Listener>();
  Object.assign(socket, {
    on(event: string, listener: (...given: unknown[]) => void) {
      if (event !== 'data') return on(event, listener);
      const { listen: instead, ping } = intercept(socket, listener, setup, observer);
      session.ping = ping;
      wrapped.set(listener, instead);
      return on(event, instead);
    },
    removeListener(event: string, listener: (...given: unknown[]) => void) {
      return removeListener(event, wrapped.get(listener) ?? listener);
    },
  });
  return session;
}

function intercept(
  socket: Socket,
  driver: Listener,
  { statement, server, startWithinMs }: SessionSetup,
  observer: SessionObserver,
): { listen: Listener; ping: () => void } {
  let phase: 'starting' | 'setting' | 'ready' | 'pinging' | 'pinged' = 'starting';
  const late = setTimeout(() => {
    socket.destroy(timedOut('PostgreSQL did not finish the login in time'));
  }, startWithinMs);
  socket.once('close', () => clearTimeout(late));
  let rest: Buffer = Buffer.alloc(0);
  let held: Buffer = rest;
  let row: (string | null)[] = [];
  let refused: (Error & { readonly code: string }) | null = null;
  let attempts = 1;
  let slow: NodeJS.Timeout | undefined;
  socket.once('close', () => clearTimeout(slow));

  function message(whole: Buffer): void {
    const type = whole[0];
    if (phase === 'starting') {
      if (type !== READY) {
        driver(whole);
        return;
      }
      phase = 'setting';
      clearTimeout(late);
      held = whole;
      slow = setTimeout(observer.onSlow, SLOW_MS);
      socket.write(simpleQuery(statement));
    } else if (phase === 'ready') driver(whole);
    else if (phase === 'pinging') {
      if (type === EMPTY) phase = 'pinged';
      else driver(whole);
    } else if (phase === 'pinged') {
      if (type === READY) phase = 'ready';
      else driver(whole);
    } else if (type === ROW) row = columnsOf(whole);
    else if (type === ERROR) refused = errorOf(whole);
    else if (type === READY) finish();
  }

  function finish(): void {
    if (refused?.code === CANCELED && attempts < SETUP_ATTEMPTS) {
      attempts += 1;
      refused = null;
      socket.write(simpleQuery(statement));
      return;
    }
    clearTimeout(slow);
    const error = refused ?? checkSession(row, server);
    if (error) {
      observer.onRefused(error);
      return;
    }
    phase = 'ready';
    observer.onReady(row[4] ?? '');
    driver(held);
  }

  function listen(chunk: Buffer): void {
    if (phase === 'ready' && rest.length === 0) {
      driver(chunk);
      if (chunk.includes(READ_ONLY_ERROR)) setImmediate(observer.onReadOnly);
      if (chunk.includes(DISK_FULL_ERROR)) observer.onDiskFull();
      return;
    }
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = rest.readUInt32BE(1) + 1;
      const whole = rest.subarray(0, end);
      rest = rest.subarray(end);
      message(whole);
    }
    if (phase !== 'ready' || rest.length === 0) return;
    const left = rest;
    rest = Buffer.alloc(0);
    driver(left);
  }

  return {
    listen,
    ping() {
      // In the middle of a message nothing says where the next one begins.
      if (phase !== 'ready') return;
      phase = 'pinging';
      socket.write(simpleQuery(''));
    },
  };
}

function simpleQuery(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function columnsOf(message: Buffer): (string | null)[] {
  const columns: (string | null)[] = [];
  let at = 7;
  for (let left = message.readUInt16BE(5); left > 0; left -= 1) {
    const length = message.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : message.toString('utf8', at, at + Math.max(length, 0)));
    at += Math.max(length, 0);
  }
  return columns;
}

function errorOf(message: Buffer): Error & { readonly code: string } {
  const fields = new Map(
    message
      .toString('utf8', 5)
      .split('\0')
      .map((field) => [field[0], field.slice(1)]),
  );
  return Object.assign(new Error(fields.get('M') ?? 'PostgreSQL refuses the settings of the session'), {
    code: fields.get('C') ?? '',
  });
}
