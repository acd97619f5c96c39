/** Queries of API keys. Whether a key is valid is decided by the database's real clock, never by a node's. */
import { and, asc, eq, gt, inArray, isNull, or, sql } from 'drizzle-orm';
import type { WallInstant } from '../../core/values/instant.ts';
import type { Side } from '../../core/values/side.ts';
import type { Queries } from '../postgres/database.ts';
import { apiKeys } from '../tables/tables.ts';
import { type Scope, withinScope } from './strategyScope.ts';

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: 'VIEWER' | 'BOT' | 'OPERATOR' | 'ADMIN';
  readonly strategies: Scope;
  /** The sides that it may report and acknowledge for; null is both. */
  readonly sides: readonly Side[] | null;
  /** The person who holds it, as persons are compared; null if it is no person's. */
  readonly person: string | null;
  /** Who made it over the API, directly or not; null for a key that was made on the server. */
  readonly madeBy: string | null;
  readonly createdAt: WallInstant;
  readonly createdBy: string;
  readonly expiresAt: WallInstant | null;
  readonly revokedAt: WallInstant | null;
  readonly revokedBy: string | null;
  readonly lastUsedAt: WallInstant | null;
  readonly expired: boolean;
}

const isExpired = sql<boolean>`coalesce(${apiKeys.expiresAt} <= clock_timestamp(), false)`;

const columns = {
  id: apiKeys.id,
  name: apiKeys.name,
  role: apiKeys.role,
  strategies: apiKeys.strategies,
  sides: apiKeys.sides,
  person: apiKeys.person,
  madeBy: apiKeys.madeBy,
  createdAt: apiKeys.createdAt,
  createdBy: apiKeys.createdBy,
  expiresAt: apiKeys.expiresAt,
  revokedAt: apiKeys.revokedAt,
  revokedBy: apiKeys.revokedBy,
  lastUsedAt: apiKeys.lastUsedAt,
  expired: isExpired,
};

type KeyColumns = Omit<typeof apiKeys.$inferSelect, 'hash' | 'foldedName'> & { readonly expired: boolean };

function toKey(row: KeyColumns): ApiKey {
  return {
    ...row,
    createdAt: row.createdAt.getTime(),
    expiresAt: row.expiresAt?.getTime() ?? null,
    revokedAt: row.revokedAt?.getTime() ?? null,
    lastUsedAt: row.lastUsedAt?.getTime() ?? null,
  };
}

export interface NewApiKey
  extends Pick<
    ApiKey,
    'id' | 'name' | 'role' | 'strategies' | 'sides' | 'person' | 'madeBy' | 'createdBy' | 'expiresAt'
  > {
  readonly hash: string;
  /** The name as names are compared. */
  readonly foldedName: string;
  /** Seconds of real time until it expires, instead of `expiresAt`; counted by the database, whose clock decides. */
  readonly expiresInSeconds: number | null;
}

/** Inserts a key; null if another key with its name, in any case, is not revoked. */
export async function insertApiKey(tx: Queries, key: NewApiKey): Promise<ApiKey | null> {
  const { strategies, sides, expiresAt, expiresInSeconds, ...rest } = key;
  const counted = sql`date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => ${expiresInSeconds})`;
  const [row] = await tx
    .insert(apiKeys)
    .values({
      ...rest,
      strategies: strategies && [...strategies],
      sides: sides && [...sides],
      expiresAt: expiresInSeconds !== null ? counted : expiresAt === null ? null : new Date(expiresAt),
    })
    .onConflictDoNothing()
    .returning(columns);
  return row ? toKey(row) : null;
}

/** Whether a valid key of an earlier version has this name in any case; new ones are kept apart by an index. */
export async function isNameTaken(tx: Queries, name: string): Promise<boolean> {
  const rows = await tx
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(
      and(
        isNull(apiKeys.foldedName),
        isNull(apiKeys.revokedAt),
        sql`lower(${apiKeys.name}) = lower(${name})`,
      ),
    )
    .limit(1);
  return rows.length > 0;
}

/** A key with what is needed to verify it. */
export interface StoredKey {
  readonly key: ApiKey;
  /** SHA-256 of the whole key, in hex. */
  readonly hash: string;
  /** Whether the recorded last use is more than a minute old, so that {@link markKeyUsed} should update it. */
  readonly usedLongAgo: boolean;
}

export async function findApiKey(db: Queries, id: string): Promise<StoredKey | null> {
  const usedLongAgo = sql<boolean>`coalesce(${apiKeys.lastUsedAt} < clock_timestamp() - interval '1 minute', true)`;
  const [row] = await db
    .select({ ...columns, hash: apiKeys.hash, usedLongAgo })
    .from(apiKeys)
    .where(eq(apiKeys.id, id));
  if (!row) return null;
  const { hash, usedLongAgo: isOld, ...rest } = row;
  return { key: toKey(rest), hash, usedLongAgo: isOld };
}

/** The keys with this id, and the key with this name that is not revoked. Only revoked keys may share a name. */
export async function findApiKeysNamed(db: Queries, idOrName: string): Promise<ApiKey[]> {
  const rows = await db
    .select(columns)
    .from(apiKeys)
    .where(or(eq(apiKeys.id, idOrName), and(eq(apiKeys.name, idOrName), isNull(apiKeys.revokedAt))));
  return rows.map(toKey);
}

/** Records that a key was used. Writes at most once a minute, even if several nodes call it concurrently. */
export async function markKeyUsed(db: Queries, id: string): Promise<void> {
  await db
    .update(apiKeys)
    .set({ lastUsedAt: sql`clock_timestamp()` })
    .where(
      and(
        eq(apiKeys.id, id),
        sql`coalesce(${apiKeys.lastUsedAt} < clock_timestamp() - interval '1 minute', true)`,
      ),
    );
}

/** Revokes a key; null if it was already revoked. */
export async function markKeyRevoked(tx: Queries, id: string, by: string): Promise<ApiKey | null> {
  const [row] = await tx
    .update(apiKeys)
    .set({ revokedAt: sql`clock_timestamp()`, revokedBy: by })
    .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
    .returning(columns);
  return row ? toKey(row) : null;
}

/** Those of the given keys that are no longer valid: revoked, expired or deleted. */
export async function findEndedKeys(
  db: Queries,
  ids: readonly string[],
): Promise<ReadonlyMap<string, 'REVOKED' | 'EXPIRED'>> {
  const rows = await db
    .select({ id: apiKeys.id, revokedAt: apiKeys.revokedAt, expired: isExpired })
    .from(apiKeys)
    .where(inArray(apiKeys.id, [...ids]));
  const found = new Map(rows.map((row) => [row.id, row]));
  return new Map(
    ids.flatMap((id) => {
      const row = found.get(id);
      if (row && !row.revokedAt && !row.expired) return [];
      return [[id, row && !row.revokedAt ? 'EXPIRED' : 'REVOKED'] as const];
    }),
  );
}

/** Whether there is any valid key. */
export async function hasApiKeys(db: Queries): Promise<boolean> {
  const rows = await db
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(and(isNull(apiKeys.revokedAt), sql`not ${isExpired}`))
    .limit(1);
  return rows.length > 0;
}

/** A page of keys in the order of name, only of those within the scope. */
export async function pageApiKeys(
  db: Queries,
  page: {
    readonly scope: Scope;
    readonly limit: number;
    readonly after?: { readonly name: string; readonly id: string } | undefined;
  },
): Promise<ApiKey[]> {
  const { after } = page;
  const beyond =
    after && or(gt(apiKeys.name, after.name), and(eq(apiKeys.name, after.name), gt(apiKeys.id, after.id)));
  const rows = await db
    .select(columns)
    .from(apiKeys)
    .where(and(withinScope(apiKeys.strategies, page.scope), beyond))
    .orderBy(asc(apiKeys.name), asc(apiKeys.id))
    .limit(page.limit);
  return rows.map(toKey);
}
