/** The log: JSON lines on stderr, with secrets redacted. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Environment } from '../../environment/environment.ts';

/** Field names whose values are redacted. */
const SECRET_FIELDS = ['authorization', 'password', 'secret', 'token', 'key', 'connectionParams', 'cookie'];
/** Secrets within strings: passwords in URLs, and credentials after `Bearer` or `Basic`. */
const SECRET_PATTERNS: readonly [RegExp, string][] = [
  [/(\w+:\/\/[^\s:/@"\\]*:)[^\s@"\\]+@/g, '$1…@'],
  [/\b(Bearer|Basic) [\w.~+/=-]+/gi, '$1 …'],
];

/** Lines that wait for a log which cannot be written; what comes beyond is dropped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

export function createLog(
  environment: Pick<Environment, 'logLevel' | 'databaseUrl'>,
  destination: DestinationStream = createLogDestination(2),
): Logger {
  return pino(
    {
      level: environment.logLevel,
      serializers: { error: loggedError },
      redact: {
        paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
        censor: '…',
      },
      hooks: { streamWrite: redactPassword(passwordOf(environment.databaseUrl)) },
    },
    destination,
  );
}

/**
 * Writes lines in the background. Where they cannot be written, as on a full disk, the node goes on without them: the last
 * ones wait and are tried again with the next line. At the exit they are not, which would go on until there is space.
 */
export function createLogDestination(fd: number): ReturnType<typeof pino.destination> {
  const stream = pino.destination({ dest: fd, sync: false, maxLength: MAX_WAITING_BYTES });
  const flush = stream.flushSync.bind(stream);
  let failing = false;
  stream.on('error', () => {
    failing = true;
  });
  stream.on('write', () => {
    failing = false;
  });
  return Object.assign(stream, {
    flushSync() {
      if (!failing) flush();
    },
  });
}

/**
 * An error without the values that a statement was sent with: Drizzle puts all parameters into the message of a query
 * that failed, PostgreSQL names values in `detail` and `where`. The statement itself stays.
 */
function loggedError(error: Error): unknown {
  const sent = causes(error).flatMap((cause) => ('params' in cause ? [`\nparams: ${cause.params}`] : []));
  const without = (text: string) => sent.reduce((rest, params) => rest.replaceAll(params, ''), text);
  const { message, stack, params, detail, where, ...others } = pino.stdSerializers.err(error);
  return { ...others, message: without(message), stack: without(stack) };
}

/** An error and what caused it, as deep as it goes. */
function causes(error: unknown): readonly Error[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : [];
}

function redactPassword(password: string | null): (line: string) => string {
  return (line) => {
    let shown = line;
    for (const [secret, instead] of SECRET_PATTERNS) shown = shown.replace(secret, instead);
    return password ? shown.replaceAll(password, '…') : shown;
  };
}

/**
 * The password of a URL; null if it is too short to be distinguished from other words. One that is not percent-encoded is
 * refused with a sentence by whoever connects, not here.
 */
function passwordOf(url: string | null): string | null {
  if (url === null || !URL.canParse(url)) return null;
  const password = decoded(new URL(url).password);
  return password.length >= 4 ? password : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
