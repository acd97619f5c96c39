/** Creates and revokes API keys. Every change writes an audit record in the same transaction. */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { type WallInstant, wallNow } from '../core/values/instant.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import { SIDES } from '../core/values/side.ts';
import type { ApiKey } from '../store/access/apiKeys.ts';
import { findApiKeysNamed, insertApiKey, isNameTaken, markKeyRevoked } from '../store/access/apiKeys.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import { contains, patternViolation, type Scope } from '../store/access/strategyScope.ts';
import { inIncarnation } from '../store/log/incarnations.ts';
import { type Actor, foldName, isReservedName, makerOf, type Role, type Sides, speaksFor } from './actor.ts';
import { freshKey } from './apiKey.ts';

export interface KeyRequest {
  readonly name: string;
  readonly role: Role;
  readonly strategies: Scope;
  /** The sides that it may speak for; null or absent is both. */
  readonly sides?: Sides | undefined;
  /** The person who holds it; null or absent if it is no person's. */
  readonly person?: string | null | undefined;
  /** Epoch milliseconds of real time; null means never. */
  readonly expiresAt: WallInstant | null;
  /** Seconds until it expires, instead of `expiresAt`; null or absent if it has none. */
  readonly expiresInSeconds?: number | null | undefined;
}

export type KeyAnswer =
  | { readonly refusal: Refusal; readonly apiKey: null; readonly key: null }
  /** `key` is the secret key if it was just created; it is never shown again. */
  | { readonly refusal: null; readonly apiKey: ApiKey; readonly key: string | null };

/** What happened, for people. */
export function messageOf({ refusal: no, apiKey, key }: KeyAnswer): string {
  if (no) return no.message;
  if (key) return `Key ${apiKey.name} created. Store it now: it is not shown again`;
  return `Key ${apiKey.name} is revoked; its live subscriptions end within seconds`;
}

const refused = (no: Refusal): KeyAnswer => ({ refusal: no, apiKey: null, key: null });

const NAME = /^[\w.:@/ -]{1,100}$/;
const PERSON = /^[^\p{C}|]{1,200}$/u;
const MAX_PATTERNS = 100;
/** Ten years: a longer one is a mistake of the unit. */
const MAX_LIFE_SECONDS = 315_360_000;

/** Creates a key. Only this result contains the secret. */
export async function createKey(
  db: PostgresJsDatabase,
  actor: Actor,
  request: KeyRequest,
): Promise<KeyAnswer> {
  const wrong = violation(request) ?? beyond(actor, request);
  if (wrong) return refused(wrong);
  const { id, key, hash } = freshKey();
  const { name, role, strategies, sides = null, expiresAt, expiresInSeconds = null } = request;
  const person = request.person ? foldName(request.person) : null;
  const expiry = { expiresAt, expiresInSeconds };
  const made = { id, hash, name, foldedName: foldName(name), role, strategies, sides, person, ...expiry };
  return inIncarnation(db, async (tx): Promise<KeyAnswer> => {
    const apiKey = (await isNameTaken(tx, name))
      ? null
      : await insertApiKey(tx, { ...made, createdBy: actor.name, madeBy: makerOf(actor) });
    if (!apiKey) {
      const message = `A key named ${request.name} already exists: revoke it, or choose another name`;
      return refused(refusal('ALREADY_EXISTS', message, ['name']));
    }
    await appendAuditRecord(tx, {
      actor: actor.name,
      action: 'API_KEY_CREATED',
      subject: id,
      strategies,
      details: {
        name,
        role,
        strategies,
        expiresAt: apiKey.expiresAt && new Date(apiKey.expiresAt).toISOString(),
        ...(sides ? { sides } : {}),
        ...(person ? { person } : {}),
      },
    });
    return { refusal: null, apiKey, key };
  });
}

function violation(request: KeyRequest): Refusal | null {
  const { name, strategies, sides, person, expiresAt, expiresInSeconds = null } = request;
  const no = (path: string, rule: string) => refusal('INVALID_INPUT', `${path} ${rule}`, [path]);
  if (!NAME.test(name) || name.trim() !== name) {
    return no('name', 'must have 1 to 100 letters, digits, spaces and . _ : @ / -');
  }
  if (isReservedName(name))
    return no('name', `must not be ${name}, which is reserved for Serin's own actions`);
  if (strategies) {
    if (strategies.length === 0 || strategies.length > MAX_PATTERNS) {
      return no('strategies', `must have 1 to ${MAX_PATTERNS} patterns, or be omitted for all strategies`);
    }
    const wrong = strategies.map(patternViolation).find((message) => message !== null);
    if (wrong) return no('strategies', wrong);
  }
  if (sides && (sides.length === 0 || new Set(sides).size < sides.length)) {
    return no('sides', 'must name one side, or both once; leave it out for both');
  }
  if (person && (!PERSON.test(person) || isReservedName(person))) {
    return no(
      'person',
      'must have 1 to 200 visible characters, such as ada@example.org, and not be a name of Serin',
    );
  }
  if (expiresInSeconds !== null && expiresAt !== null)
    return no('expiresInSeconds', 'and expiresAt exclude each other');
  if (expiresInSeconds !== null && (expiresInSeconds < 1 || expiresInSeconds > MAX_LIFE_SECONDS))
    return no('expiresInSeconds', `must be 1 to ${MAX_LIFE_SECONDS}`);
  // The database's clock decides whether a key has expired; this only catches mistakes.
  if (expiresAt !== null && expiresAt <= wallNow()) return no('expiresAt', 'must be in the future');
  return null;
}

/** A key cannot have more rights than its creator, and one with limited strategies names neither others nor their keys. */
function beyond(actor: Actor, { name, strategies, sides = null, person }: KeyRequest): Refusal | null {
  const no = (path: string, message: string) => refusal('INVALID_INPUT', `${path} ${message}`, [path]);
  if (!contains(actor.strategies, strategies)) {
    return no('strategies', `must be within your own: ${actor.strategies?.join(', ')}`);
  }
  if (actor.sides && !(sides ?? SIDES).every((side) => speaksFor(actor, side))) {
    return no('sides', `must be within your own: ${actor.sides.join(', ')}`);
  }
  if (actor.strategies === null) return null;
  if (person && foldName(person) !== actor.person?.id) {
    return no(
      'person',
      'must be your own or left out: keys of other persons are made by administrators of all strategies',
    );
  }
  const own = `${actor.name}/`;
  if (name.startsWith(own) && NAME_OF_ITS_OWN.test(name.slice(own.length))) return null;
  // Names are common to all strategies: of a free choice the answer would tell which ones others have taken.
  return no('name', `must begin with ${own}, because your strategies are limited, such as ${own}bot`);
}

const NAME_OF_ITS_OWN = /^[^/ ][^/]*$/;

/** Revokes a key by its id or name. Revoking it again changes nothing. */
export async function revokeKey(db: PostgresJsDatabase, actor: Actor, idOrName: string): Promise<KeyAnswer> {
  return inIncarnation(db, async (tx): Promise<KeyAnswer> => {
    const named = await findApiKeysNamed(tx, idOrName);
    const seen = named.filter(({ strategies }) => contains(actor.strategies, strategies));
    // The name of one key may be the id of another.
    const found = seen.find(({ id }) => id === idOrName) ?? seen[0];
    if (!found) return refused(refusal('NOT_FOUND', `There is no key ${idOrName}`, ['id']));
    const revoked = await markKeyRevoked(tx, found.id, actor.name);
    if (revoked) {
      const { name, strategies } = revoked;
      const record = { actor: actor.name, subject: found.id, strategies, details: { name } };
      await appendAuditRecord(tx, { action: 'API_KEY_REVOKED', ...record });
    }
    return { refusal: null, apiKey: revoked ?? found, key: null };
  });
}
