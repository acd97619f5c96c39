/**
 * `serin keys`: API keys of a server, as every other command asks it; or of the database of this machine, whether a
 * Serin runs there or not: above all the first key.
 */
import type { Command } from 'commander';
import { SIDES, type Side } from '../core/values/side.ts';
import { asking } from './arguments.ts';
import { type Context, contextOf } from './context.ts';
import { CommandFailed, EXIT, usage } from './exitCodes.ts';
import {
  type KeyResult,
  type KeyRole,
  type Keys,
  type KeyView,
  type NewKey,
  ROLES,
} from './keyOperations.ts';
import { askedKeys } from './remoteKeys.ts';
import { readInstant, readSeconds } from './serverTime.ts';
import { table } from './terminal.ts';
import { moment } from './words.ts';

/** Adds the commands. `local` opens the database of this machine. */
export function addKeys(program: Command, local: () => Promise<Keys>): void {
  const keys = program
    .command('keys')
    .description(
      'create, list and revoke API keys: on a server with --key or --url, else in the database of this machine',
    );
  const verb = (name: string, description: string) =>
    asking(keys, name, description).option(
      '--local',
      'use the database of this machine even if SERIN_KEY is set',
    );
  const placeOf = (command: Command, context: Context) => {
    const { url, key = process.env.SERIN_KEY, local: here } = command.optsWithGlobals<PlaceOptions>();
    return here || (!key && url === undefined) ? local() : askedKeys(context.serin);
  };
  verb('create', 'create a key and print it; it is not shown again')
    .requiredOption('--role <role>', 'viewer, bot, operator or admin')
    .requiredOption('--name <name>', 'its name in the audit trail')
    .option('--strategies <patterns>', "only these strategies: 'eth-*,btc-*'")
    .option('--sides <sides>', 'only for this side of a deployment: canary or stable')
    .option(
      '--person <person>',
      'the person who holds it, such as ada@example.org: two keys of one person are not two people',
    )
    .option('--expires <when>', '90d, 12h, or a date (default: never)')
    .action(async (options: CreateKeyOptions, command: Command) => {
      const context = contextOf(command);
      const wanted = read(options);
      const keys = await placeOf(command, context);
      sayMade(await keys.create(wanted), keys, context);
    });
  verb('list', 'list the keys, without their secrets')
    .alias('ls')
    .action(async (_options, command: Command) => {
      const context = contextOf(command);
      sayList(await (await placeOf(command, context)).list(), context);
    });
  verb('revoke', 'revoke a key; its open connections end within seconds')
    .argument('<key>', 'its name or id')
    .action(async (idOrName: string, _options, command: Command) => {
      const context = contextOf(command);
      const result = accepted(await (await placeOf(command, context)).revoke(idOrName), context);
      if (!context.terminal.json) context.terminal.line(result.message);
    });
}

interface PlaceOptions {
  readonly url?: string;
  readonly key?: string;
  readonly local?: boolean;
}

interface CreateKeyOptions {
  readonly role: string;
  readonly name: string;
  readonly strategies?: string;
  readonly sides?: string;
  readonly person?: string;
  readonly expires?: string;
}

function read({ role, name, strategies, sides, person, expires }: CreateKeyOptions): NewKey {
  return {
    name,
    role: readRole(role),
    strategies: strategies === undefined ? null : strategies.split(',').map((pattern) => pattern.trim()),
    sides: sides === undefined ? null : sides.split(',').map(readSide),
    person: person ?? null,
    ...readExpiry(expires),
  };
}

function readRole(given: string): KeyRole {
  const role = ROLES.find((name) => name === given.toUpperCase());
  if (!role) throw usage(`--role must be one of ${ROLES.join(', ').toLowerCase()}, got ${given}`);
  return role;
}

function readSide(given: string): Side {
  const side = SIDES.find((name) => name === given.trim().toUpperCase());
  if (!side) throw usage(`--sides must be ${SIDES.join(' or ').toLowerCase()}, got ${JSON.stringify(given)}`);
  return side;
}

/** Keys expire in real time. A length is counted where the key is kept: the clock of this machine may be wrong. */
function readExpiry(given: string | undefined): Pick<NewKey, 'expiresAt' | 'expiresInSeconds'> {
  if (given === undefined) return { expiresAt: null, expiresInSeconds: null };
  const expiresInSeconds = readSeconds('--expires', given);
  if (expiresInSeconds !== null) return { expiresAt: null, expiresInSeconds };
  const expiresAt = readInstant(given);
  if (expiresAt === null)
    throw usage(`--expires must be such as 90d, 12h or 2030-01-31, got ${JSON.stringify(given)}`);
  return { expiresAt, expiresInSeconds: null };
}

/** @throws {CommandFailed} with the refusal */
function accepted(result: KeyResult, { terminal }: Context): KeyResult {
  if (terminal.json) terminal.value(result);
  if (result.success) return result;
  const exitCode = result.error?.code === 'NOT_FOUND' ? EXIT.notFound : EXIT.refused;
  throw new CommandFailed(
    `${result.error?.message ?? result.message} [${result.error?.code ?? 'REFUSED'}]`,
    exitCode,
  );
}

/** The key is alone on stdout, so that a script can keep it. */
function sayMade(result: KeyResult, { place }: Keys, context: Context): void {
  const { key } = accepted(result, context);
  if (context.terminal.json) return;
  context.terminal.line(String(key));
  context.terminal.note('Keep it now: it is not shown again. Send it as "Authorization: Bearer KEY".');
  if (place) context.terminal.note(`It is a key of ${place} (--url asks a server).`);
}

function sayList(keys: readonly KeyView[], { terminal }: Context): void {
  if (terminal.json) {
    terminal.value(keys);
    return;
  }
  if (keys.length === 0) {
    terminal.line('There is no key: serin keys create --role admin --name NAME makes one.');
    return;
  }
  const lines = table(
    keys,
    [
      { head: 'KEY', of: ({ id }) => id },
      { head: 'STATE', of: stateOf, style: (key) => (stateOf(key) === 'good' ? 'green' : 'dim') },
      { head: 'ROLE', of: ({ role }) => role.toLowerCase() },
      { head: 'NAME', of: ({ name }) => name, cut: true },
      { head: 'STRATEGIES', of: ({ strategies }) => strategies?.join(',') ?? '*', cut: true },
      { head: 'SIDES', of: ({ sides }) => sides?.join(',').toLowerCase() ?? '*' },
      { head: 'PERSON', of: ({ person }) => person ?? '–', cut: true },
      { head: 'EXPIRES', of: ({ expiresAt }) => (expiresAt === null ? 'never' : moment(expiresAt)) },
      { head: 'USED', of: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : moment(lastUsedAt)) },
    ],
    terminal,
  );
  for (const line of lines) terminal.line(line);
}

const stateOf = ({ revokedAt, expired }: KeyView) =>
  revokedAt !== null ? 'revoked' : expired ? 'expired' : 'good';
