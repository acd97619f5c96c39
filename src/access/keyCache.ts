/**
 * Cache of API keys, 1 s TTL. A key that is revoked on another node stays valid here for at most that second; on this
 * node it ends immediately.
 */
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { findApiKey, markKeyUsed, type StoredKey } from '../store/access/apiKeys.ts';
import type { Queries } from '../store/postgres/database.ts';
import { claimedId, isKey } from './apiKey.ts';
import { Unauthenticated } from './unauthenticated.ts';

const TTL_MS = 1000;
/** Per cache. Unknown ids have a cache of their own, so that invented ones cannot evict existing keys. */
const MAX_CACHED = 10_000;
/** Compared with when there is no such key: a wrong secret and an unknown prefix take the same time. */
const NO_HASH = '0'.repeat(64);

export interface KeyCache {
  /** The stored key of a bearer token. Throws {@link Unauthenticated} if it is unknown, revoked or expired. */
  check(key: string): Promise<StoredKey['key']>;
  /** Clears the cache after a change of keys on this node. */
  forget(): void;
}

interface Entry {
  readonly found: Promise<StoredKey | null>;
  /** Whether a use of the key was recorded since it was read. */
  useRecorded: boolean;
}

export function createKeyCache(db: Queries, log: Logger): KeyCache {
  const existing = new LRUCache<string, Entry>({ max: MAX_CACHED, ttl: TTL_MS });
  const unknown = new LRUCache<string, Entry>({ max: MAX_CACHED, ttl: TTL_MS });

  function read(id: string): Entry {
    const cached = existing.get(id) ?? unknown.get(id);
    if (cached) return cached;
    const entry: Entry = { found: findApiKey(db, id), useRecorded: false };
    unknown.set(id, entry);
    entry.found.then(
      (stored) => {
        if (!stored || unknown.get(id) !== entry) return;
        unknown.delete(id);
        existing.set(id, entry);
      },
      () => unknown.delete(id),
    );
    return entry;
  }

  /** Only a use with the right secret counts: a prefix alone must not write. */
  function recordUse(entry: Entry, { key, usedLongAgo }: StoredKey): void {
    if (entry.useRecorded || !usedLongAgo) return;
    entry.useRecorded = true;
    markKeyUsed(db, key.id).catch((error: unknown) =>
      log.debug({ error }, 'the last use of a key was not recorded'),
    );
  }

  return {
    async check(key) {
      const id = claimedId(key);
      const entry = id === null ? null : read(id);
      const stored = (await entry?.found) ?? null;
      const right = isKey(key, stored?.hash ?? NO_HASH);
      if (!entry || !stored || !right) {
        throw new Unauthenticated('This API key is unknown: check it, or ask an administrator for another');
      }
      const { name, revokedAt, expired } = stored.key;
      if (revokedAt !== null) throw new Unauthenticated(ended(name, 'REVOKED'));
      if (expired) throw new Unauthenticated(ended(name, 'EXPIRED'));
      recordUse(entry, stored);
      return stored.key;
    },
    forget() {
      existing.clear();
      unknown.clear();
    },
  };
}

/** The message for the owner of a key that has ended. */
export function ended(name: string, how: 'REVOKED' | 'EXPIRED'): string {
  const happened = how === 'REVOKED' ? 'has been revoked' : 'has expired';
  return `The API key ${name} ${happened}: ask an administrator for another`;
}
