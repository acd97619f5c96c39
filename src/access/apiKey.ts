/**
 * What an API key looks like: `serin_PREFIX_SECRET`. The prefix is its readable name in lists and logs, the secret is
 * 256 random bits. Only a SHA-256 of the whole is kept. A slow hash such as bcrypt protects secrets that can be
 * guessed; nobody guesses 256 bits, and a slow hash on every request would be a gift to whoever floods the server.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export interface FreshKey {
  readonly id: string;
  /** The whole key: shown once, kept nowhere. */
  readonly key: string;
  readonly hash: string;
}

export function freshKey(): FreshKey {
  const prefix = randomBytes(6).toString('hex');
  const key = `serin_${prefix}_${randomBytes(32).toString('base64url')}`;
  return { id: idOf(prefix), key, hash: hashOf(key) };
}

const FORM = /^serin_([0-9a-f]{12})_[\w-]{43}$/;

const idOf = (prefix: string) => `key_${prefix}`;

/** Whether a bearer token means to be an API key. */
export const looksLikeKey = (token: string) => token.startsWith('serin_');

/** The id that a key claims; null when it is no key at all. */
export function claimedId(key: string): string | null {
  const prefix = FORM.exec(key)?.[1];
  return prefix === undefined ? null : idOf(prefix);
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Whether a key is the one that was hashed; takes the same time wherever they differ. */
export function isKey(key: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(key), 'hex'), Buffer.from(hash, 'hex'));
}
