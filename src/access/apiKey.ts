/**
 * The format of an API key: `serin_PREFIX_SECRET`. The prefix identifies it in lists and logs, the secret is 256 random
 * bits. Only a SHA-256 hash of the key is stored. A slow hash such as bcrypt protects secrets that can be guessed; 256
 * bits cannot, and a slow hash on every request would help an attacker to overload the server.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

export interface FreshKey {
  readonly id: string;
  /** The complete key: shown once, never stored. */
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

/** Whether a bearer token has the form of an API key. */
export const looksLikeKey = (token: string) => token.startsWith('serin_');

/** The id in a key; null if it is not a well-formed key. */
export function claimedId(key: string): string | null {
  const prefix = FORM.exec(key)?.[1];
  return prefix === undefined ? null : idOf(prefix);
}

function hashOf(key: string): string {
  return hash('sha256', key, 'hex');
}

/** Whether a key matches a hash; compares in constant time. */
export function isKey(key: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(key), 'hex'), Buffer.from(hash, 'hex'));
}
