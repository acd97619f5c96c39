/**
 * Cache of API keys, 1 s TTL. A key that is revoked on another node stays valid here for at most that second; on this
 * node it ends immediately.
 */
import type { Logger } from 'pino';
import { findApiKey, markKeyUsed, type StoredKey } from '../store/access/apiKeys.ts';
import type { Queries } from '../store/postgres/database.ts';
import { claimedId, isKey } from './apiKey.ts';
import { Unauthenticated } from './unauthenticated.ts';

const TTL_MS = 1000;
/** Only existing keys are cached, so that invented ones cannot fill it. */
const MAX_CACHED = 10_000;

export interface KeyCache {
  /** The stored key of a bearer token. Throws {@link Unauthenticated} if it is unknown, revoked or expired. */
  check(key: string): Promise<StoredKey['key']>;
  /** Clears the cache after a change of keys on this node. */
  forget(): void;
}

export function createKeyCache(db: Queries, log: Logger): KeyCache {
  const cache = new Map<string, { readonly at: number; readonly found: Promise<StoredKey | null> }>();

  function findKey(id: string): Promise<StoredKey | null> {
    const cached = cache.get(id);
    if (cached && performance.now() - cached.at < TTL_MS) return cached.found;
    const found = findApiKey(db, id);
    const entry = { at: performance.now(), found };
    cache.delete(id);
    cache.set(id, entry);
    const drop = () => {
      if (cache.get(id) === entry) cache.delete(id);
    };
    found.then((stored) => (stored ? noteUse(stored) : drop()), drop);
    const [oldest] = cache.keys();
    if (cache.size > MAX_CACHED && oldest !== undefined) cache.delete(oldest);
    return found;
  }

  function noteUse({ key, usedLongAgo }: StoredKey): void {
    if (!usedLongAgo || key.revokedAt !== null || key.expired) return;
    markKeyUsed(db, key.id).catch((error: unknown) =>
      log.debug({ error }, 'the last use of a key was not recorded'),
    );
  }

  return {
    async check(key) {
      const id = claimedId(key);
      const stored = id === null ? null : await findKey(id);
      if (!stored || !isKey(key, stored.hash)) {
        throw new Unauthenticated('This API key is unknown: check it, or ask an administrator for another');
      }
      const { name, revokedAt, expired } = stored.key;
      if (revokedAt !== null) throw new Unauthenticated(ended(name, 'REVOKED'));
      if (expired) throw new Unauthenticated(ended(name, 'EXPIRED'));
      return stored.key;
    },
    forget: () => cache.clear(),
  };
}

/** The message for the owner of a key that has ended. */
export function ended(name: string, how: 'REVOKED' | 'EXPIRED'): string {
  const happened = how === 'REVOKED' ? 'has been revoked' : 'has expired';
  return `The API key ${name} ${happened}: ask an administrator for another`;
}
