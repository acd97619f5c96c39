/**
 * `serin keys …`: API keys from the command line of the machine, above all the first one. It uses the database itself.
 */
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { openActor, ROLES, type Role } from '../access/actor.ts';
import { createKey, revokeKey } from '../access/keys.ts';
import { isDate } from '../core/values/instant.ts';
import { SIDES, type Side } from '../core/values/side.ts';
import { type ApiKey, pageApiKeys } from '../store/access/apiKeys.ts';
import { type LocalWork, withLocalDatabase } from './localDatabase.ts';

export const KEYS_USAGE = `serin keys create  --role ${ROLES.join('|').toLowerCase()} --name NAME
                   [--strategies 'eth-*,btc-*'] [--sides canary|stable] [--person ada@example.org]
                   [--expires 90d]  (or 12h, or a date)
serin keys list
serin keys revoke  NAME_OR_ID
`;

/** Runs one of the commands. Throws a sentence for the person at the terminal. */
export async function keysCommand(
  args: readonly string[],
  variables: NodeJS.ProcessEnv,
  say: Say = (line) => process.stdout.write(`${line}\n`),
): Promise<void> {
  const [verb, ...rest] = args;
  // Everything is read before a database is opened: a slip costs nothing.
  const work =
    verb === 'create'
      ? create(rest, say)
      : verb === 'list'
        ? list(rest, say)
        : verb === 'revoke'
          ? revoke(rest, say)
          : null;
  if (!work) throw new Error(`say what to do:\n${KEYS_USAGE}`);
  await withLocalDatabase(variables, { migrate: true }, work);
}

type Say = (line: string) => unknown;

const actor = () => openActor(`cli:${userInfo().username}`);

function create(args: readonly string[], say: Say): LocalWork {
  const { values } = parseArgs({
    args: [...args],
    options: {
      role: { type: 'string' },
      name: { type: 'string' },
      strategies: { type: 'string' },
      sides: { type: 'string' },
      person: { type: 'string' },
      expires: { type: 'string' },
    },
  });
  const role = readRole(values.role);
  if (values.name === undefined) throw new Error('--name must be given: what the key is recorded under');
  const request = {
    name: values.name,
    role,
    strategies:
      values.strategies === undefined ? null : values.strategies.split(',').map((pattern) => pattern.trim()),
    sides: values.sides === undefined ? null : values.sides.split(',').map(readSide),
    person: values.person ?? null,
    expiresAt: values.expires === undefined ? null : readExpiry(values.expires),
  };
  return async ({ db }) => {
    const { refusal, key } = await createKey(db, actor(), request);
    if (refusal) throw new Error(refusal.message);
    say(String(key));
    process.stderr.write('Keep it now: it is not shown again. Send it as "Authorization: Bearer KEY".\n');
  };
}

function readRole(given: string | undefined): Role {
  const role = ROLES.find((name) => name === given?.toUpperCase());
  if (!role) throw new Error(`--role must be one of ${ROLES.join(', ').toLowerCase()}`);
  return role;
}

function readSide(given: string): Side {
  const side = SIDES.find((name) => name === given.trim().toUpperCase());
  if (!side)
    throw new Error(`--sides must be ${SIDES.join(' or ').toLowerCase()}, got ${JSON.stringify(given)}`);
  return side;
}

const UNITS = { h: 3_600_000, d: 86_400_000 } as const;

function readExpiry(given: string): number {
  const length = /^(\d{1,5})([hd])$/.exec(given);
  if (length) return Date.now() + Number(length[1]) * (length[2] === 'h' ? UNITS.h : UNITS.d);
  const at = isDate(given.slice(0, 10)) ? Date.parse(given) : Number.NaN;
  if (Number.isNaN(at))
    throw new Error(`--expires must be such as 90d, 12h or 2030-01-31, got ${JSON.stringify(given)}`);
  return at;
}

function list(args: readonly string[], say: Say): LocalWork {
  parseArgs({ args: [...args], options: {} });
  return async ({ db }) => {
    let last: ApiKey | undefined;
    do {
      const page = await pageApiKeys(db, { scope: null, limit: 200, after: last });
      for (const key of page) say(lineOf(key));
      last = page.at(-1);
    } while (last);
  };
}

function lineOf({ id, name, role, strategies, expiresAt, expired, revokedAt, lastUsedAt }: ApiKey): string {
  const day = (at: number | null) => (at === null ? 'never' : new Date(at).toISOString());
  const state = revokedAt !== null ? 'revoked' : expired ? 'expired' : 'good';
  const about = strategies?.join(',') ?? '*';
  return [
    id,
    state.padEnd(7),
    role.padEnd(8),
    name,
    about,
    `expires ${day(expiresAt)}`,
    `used ${day(lastUsedAt)}`,
  ].join('  ');
}

function revoke(args: readonly string[], say: Say): LocalWork {
  const { positionals } = parseArgs({ args: [...args], options: {}, allowPositionals: true });
  const [idOrName] = positionals;
  if (idOrName === undefined || positionals.length > 1)
    throw new Error('name one key, by its name or its id');
  return async ({ db }) => {
    const { refusal, apiKey } = await revokeKey(db, actor(), idOrName);
    if (refusal) throw new Error(refusal.message);
    say(`${apiKey.name} (${apiKey.id}) is revoked; what it holds open ends within seconds`);
  };
}
