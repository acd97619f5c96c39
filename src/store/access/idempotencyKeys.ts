/** Answers stored by idempotency key, so that a retry gets the first answer and has no second effect. */
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import type { WallInstant } from '../../core/values/instant.ts';
import type { Queries } from '../postgres/database.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { idempotencyKeys } from '../tables/tables.ts';

/** An idempotency key of a caller. `request` is a hash of the mutation and its input. */
export interface KeyedRequest {
  /** The owner of the answer: the caller's subject. */
  readonly actor: string;
  /**
   * Earlier versions stored answers under the caller's name. One that was stored after the instant (epoch milliseconds of
   * real time) belongs to the caller, too.
   */
  readonly formerly: { readonly name: string; readonly since: WallInstant };
  readonly key: string;
  readonly request: string;
}

/** An answer to store under its key. */
export interface NewAnswer extends KeyedRequest {
  readonly answer: unknown;
}

/** The answer that is stored under a key, and the request that it answered. */
export interface StoredAnswer {
  readonly request: string;
  readonly answer: unknown;
}

interface StoredRow extends Record<string, unknown>, StoredAnswer {
  readonly actor: string;
  readonly key: string;
  /** When it was stored, epoch milliseconds of real time. */
  readonly at: WallInstant;
}

/** The stored answers of several keys, found with one statement. */
export async function findAnswers(
  db: Queries,
  keys: readonly KeyedRequest[],
): Promise<(key: KeyedRequest) => StoredAnswer | null> {
  const nameOf = (actor: string, key: string) => JSON.stringify([actor, key]);
  const found = new Map<string, StoredAnswer & { readonly at: WallInstant }>();
  if (keys.length > 0) {
    const owners = keys.flatMap(({ actor, formerly, key }) => [
      [actor, key],
      [formerly.name, key],
    ]);
    const actors = sql.param(owners.map(([actor]) => actor));
    const names = sql.param(owners.map(([, key]) => key));
    const rows = await db.execute<StoredRow>(sql`
      select actor, key, request, answer, date_part('epoch', created_at) * 1000 as at from idempotency_keys
      where (actor, key) in (select * from unnest(${actors}::text[], ${names}::text[]))`);
    for (const { actor, key, ...stored } of rows) found.set(nameOf(actor, key), stored);
  }
  return ({ actor, formerly, key }) => {
    const own = found.get(nameOf(actor, key));
    if (own) return own;
    const former = found.get(nameOf(formerly.name, key));
    return former && former.at >= formerly.since ? former : null;
  };
}

const insertRows = bulkInsert(idempotencyKeys, ['actor', 'key', 'request', 'answer']);

/** Stores answers in one statement. It fails if another request has stored an answer under one of the keys: {@link isKeyTaken}. */
export async function storeAnswers(tx: Queries, answers: readonly NewAnswer[]): Promise<void> {
  if (answers.length === 0) return;
  // Ordered, so that two transactions with the same keys wait for each other instead of a deadlock.
  await tx.execute(sql`${insertRows(answers)} order by r.actor, r.key`);
}

/** Whether a statement has failed because another request has stored an answer under the same key. */
export function isKeyTaken(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return (
    cause instanceof postgres.PostgresError &&
    cause.code === '23505' &&
    cause.table_name === 'idempotency_keys'
  );
}

/** Answers that one statement deletes: more might take longer than a statement may, and then none would be deleted. */
const DELETED_AT_ONCE = 10_000;

/**
 * Deletes a batch of the answers older than two days of real time. Clients are promised one day. Returns whether there may
 * be more.
 */
export async function deleteOldAnswers(db: Queries, limit = DELETED_AT_ONCE): Promise<boolean> {
  const { count } = await db.execute(sql`
    delete from idempotency_keys where (actor, key) in (
      select actor, key from idempotency_keys where created_at < clock_timestamp() - interval '2 days'
      order by created_at limit ${limit} for update skip locked)`);
  return count === limit;
}
