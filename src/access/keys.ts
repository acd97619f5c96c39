/** Creates and revokes API keys. Every change writes an audit record in the same transaction. */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import type { ApiKey } from '../store/access/apiKeys.ts';
import { findApiKeysNamed, insertApiKey, markKeyRevoked } from '../store/access/apiKeys.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import { contains, patternViolation, type Scope } from '../store/access/strategyScope.ts';
import type { Actor, Role } from './actor.ts';
import { isReservedName } from './actor.ts';
import { freshKey } from './apiKey.ts';

export interface KeyRequest {
  readonly name: string;
  readonly role: Role;
  readonly strategies: Scope;
  /** Epoch milliseconds of real time; null means never. */
  readonly expiresAt: number | null;
}

export type KeyAnswer =
  | { readonly refusal: Refusal; readonly apiKey: null; readonly key: null }
  /** `key` is the secret key if it was just created; it is never shown again. */
  | { readonly refusal: null; readonly apiKey: ApiKey; readonly key: string | null };

const refused = (no: Refusal): KeyAnswer => ({ refusal: no, apiKey: null, key: null });

const NAME = /^[\w.:@/ -]{1,100}$/;
const MAX_PATTERNS = 100;

/** Creates a key. Only this result contains the secret. */
export async function createKey(
  db: PostgresJsDatabase,
  actor: Actor,
  request: KeyRequest,
): Promise<KeyAnswer> {
  const wrong = violation(request) ?? beyond(actor, request);
  if (wrong) return refused(wrong);
  const { id, key, hash } = freshKey();
  return db.transaction(async (tx): Promise<KeyAnswer> => {
    const apiKey = await insertApiKey(tx, { id, hash, createdBy: actor.name, ...request });
    if (!apiKey) {
      const message = `A key named ${request.name} already exists: revoke it, or choose another name`;
      return refused(refusal('ALREADY_EXISTS', message, ['name']));
    }
    const { name, role, strategies, expiresAt } = apiKey;
    await appendAuditRecord(tx, {
      actor: actor.name,
      action: 'API_KEY_CREATED',
      subject: id,
      strategies,
      details: { name, role, strategies, expiresAt: expiresAt && new Date(expiresAt).toISOString() },
    });
    return { refusal: null, apiKey, key };
  });
}

function violation({ name, strategies, expiresAt }: KeyRequest): Refusal | null {
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
  // The database's clock decides whether a key has expired; this only catches mistakes.
  if (expiresAt !== null && expiresAt <= Date.now()) return no('expiresAt', 'must be in the future');
  return null;
}

/** A key cannot have more strategies than its creator. */
function beyond(actor: Actor, { strategies }: KeyRequest): Refusal | null {
  if (contains(actor.strategies, strategies)) return null;
  const message = `strategies must be within your own: ${actor.strategies?.join(', ')}`;
  return refusal('INVALID_INPUT', message, ['strategies']);
}

/** Revokes a key by its id or name. Revoking it again changes nothing. */
export async function revokeKey(db: PostgresJsDatabase, actor: Actor, idOrName: string): Promise<KeyAnswer> {
  return db.transaction(async (tx): Promise<KeyAnswer> => {
    const named = await findApiKeysNamed(tx, idOrName);
    const found = named.find(({ strategies }) => contains(actor.strategies, strategies));
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
