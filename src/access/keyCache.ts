/**
 * The keys that this node has met lately. One look at the database serves all requests of a key for a second, so a
 * key that is revoked on another node is good here for that second at most; on this node it ends at once.
 */
import type { Logger } from 'pino';
import { findApiKey, markKeyUsed, type StoredKey } from '../store/access/apiKeys.ts';
import type { Queries } from '../store/postgres/database.ts';
import { claimedId, isKey } from './apiKey.ts';
import { Unauthenticated } from './unauthenticated.ts';

const FRESH_MS = 1000;
/** Only keys that exist are kept: made-up ones take no room. */
const MAX_KEPT = 10_000;

export interface KeyCache {
  /** The key that a bearer stands for. Throws {@link Unauthenticated} when it is none, or no longer. */
  check(key: string): Promise<StoredKey['key']>;
  /** Something about keys has changed on this node. */
  forget(): void;
}

export function createKeyCache(db: Queries, log: Logger): KeyCache {
  const kept = new Map<string, { readonly at: number; readonly found: Promise<StoredKey | null> }>();

  function findKey(id: string): Promise<StoredKey | null> {
    const met = kept.get(id);
    if (met && performance.now() - met.at < FRESH_MS) return met.found;
    const found = findApiKey(db, id);
    const entry = { at: performance.now(), found };
    kept.delete(id);
    kept.set(id, entry);
    const drop = () => {
      if (kept.get(id) === entry) kept.delete(id);
    };
    found.then((stored) => (stored ? noteUse(stored) : drop()), drop);
    const [oldest] = kept.keys();
    if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    return found;
  }

  function noteUse({ key, usedLongAgo }: StoredKey): void {
    if (!usedLongAgo || key.revokedAt !== null || key.expired) return;
    markKeyUsed(db, key.id).catch((error: unknown) => log.debug({ error }, 'the use of a key was not noted'));
  }

  return {
    async check(key) {
      const id = claimedId(key);
      const stored = id === null ? null : await findKey(id);
      if (!stored || !isKey(key, stored.hash)) {
        throw new Unauthenticated(
          'This API key is not known here: check it, or ask an administrator for another',
        );
      }
      const { name, revokedAt, expired } = stored.key;
      if (revokedAt !== null) throw new Unauthenticated(ended(name, 'REVOKED'));
      if (expired) throw new Unauthenticated(ended(name, 'EXPIRED'));
      return stored.key;
    },
    forget: () => kept.clear(),
  };
}

/** What the holder of a key is told when it is no longer good. */
export function ended(name: string, how: 'REVOKED' | 'EXPIRED'): string {
  const happened = how === 'REVOKED' ? 'has been revoked' : 'has expired';
  return `The API key ${name} ${happened}: ask an administrator for another`;
}
