/** What `serin keys` does to keys, wherever they are kept; the names are those of the API. */
import type { Side } from '../core/values/side.ts';

/** The roles, each with the rights of those before it. */
export const ROLES = ['VIEWER', 'BOT', 'OPERATOR', 'ADMIN'] as const;
export type KeyRole = (typeof ROLES)[number];

/** A key to be made. */
export interface NewKey {
  readonly name: string;
  readonly role: KeyRole;
  /** Patterns of strategies; null means all. */
  readonly strategies: readonly string[] | null;
  /** The sides it may speak for; null means both. */
  readonly sides: readonly Side[] | null;
  /** The person who holds it; null if it is no person's. */
  readonly person: string | null;
  /** When it expires, RFC 3339; null means never, or after `expiresInSeconds`. */
  readonly expiresAt: string | null;
  /** Seconds until it expires; null if it has none. The clock that decides counts them. */
  readonly expiresInSeconds: number | null;
}

/** A key without its secret, with the names of the API. */
export interface KeyView extends Omit<NewKey, 'expiresInSeconds'> {
  readonly id: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expired: boolean;
  readonly revokedAt: string | null;
  readonly lastUsedAt: string | null;
}

/** What became of a key; `key` is the secret of one that was just made. */
export interface KeyResult {
  readonly success: boolean;
  readonly message: string;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly path: readonly string[];
  } | null;
  readonly apiKey: KeyView | null;
  readonly key?: string | null;
}

/** Where keys are kept: behind a server, or in the database of this machine. */
export interface Keys {
  /** The database of this machine that has them; null if a server was asked. */
  readonly place: string | null;
  create(key: NewKey): Promise<KeyResult>;
  list(): Promise<readonly KeyView[]>;
  revoke(idOrName: string): Promise<KeyResult>;
}
