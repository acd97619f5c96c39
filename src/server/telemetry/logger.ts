/** The log: JSON lines on stderr, in which no secret stands. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Environment } from '../../environment/environment.ts';

/** Names under which a secret may be logged with an object. */
const SECRET_FIELDS = ['authorization', 'password', 'secret', 'token', 'key', 'connectionParams', 'cookie'];
/** Secrets in the middle of a text: passwords in addresses, and what follows `Bearer`. */
const SECRET_TEXTS: readonly [RegExp, string][] = [
  [/(\w+:\/\/[^\s:/@"\\]*:)[^\s@"\\]+@/g, '$1…@'],
  [/\b(Bearer|Basic) [\w.~+/=-]+/gi, '$1 …'],
];

export function createLog(
  environment: Pick<Environment, 'logLevel' | 'databaseUrl'>,
  destination: DestinationStream = pino.destination({ dest: 2, sync: false }),
): Logger {
  return pino(
    {
      level: environment.logLevel,
      serializers: { error: pino.stdSerializers.err },
      redact: {
        paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
        censor: '…',
      },
      hooks: { streamWrite: blot(passwordOf(environment.databaseUrl)) },
    },
    destination,
  );
}

function blot(password: string | null): (line: string) => string {
  return (line) => {
    let shown = line;
    for (const [secret, instead] of SECRET_TEXTS) shown = shown.replace(secret, instead);
    return password ? shown.replaceAll(password, '…') : shown;
  };
}

/** Long enough to be told from other words. */
function passwordOf(url: string | null): string | null {
  if (url === null || !URL.canParse(url)) return null;
  const password = decodeURIComponent(new URL(url).password);
  return password.length >= 4 ? password : null;
}
