/** Answers stored by idempotency key, so that a retry gets the first answer and has no second effect. */
import { sql } from 'drizzle-orm';
import { ConcurrentChange } from '../postgres/concurrentChange.ts';
import type { Queries } from '../postgres/database.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { idempotencyKeys } from '../tables/tables.ts';

/** An idempotency key of an actor. `request` is a hash of the mutation and its input. */
export interface KeyedRequest {
  readonly actor: string;
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

/** The stored answers of several keys, found with one statement. */
export async function findAnswers(
  db: Queries,
  keys: readonly KeyedRequest[],
): Promise<(key: KeyedRequest) => StoredAnswer | null> {
  const nameOf = ({ actor, key }: { actor: string; key: string }) => JSON.stringify([actor, key]);
  const found = new Map<string, StoredAnswer>();
  if (keys.length > 0) {
    const actors = sql.param(keys.map(({ actor }) => actor));
    const names = sql.param(keys.map(({ key }) => key));
    const rows = await db.execute<{ actor: string; key: string; request: string; answer: unknown }>(sql`
      select actor, key, request, answer from idempotency_keys
      where (actor, key) in (select * from unnest(${actors}::text[], ${names}::text[]))`);
    for (const { request, answer, ...row } of rows) found.set(nameOf(row), { request, answer });
  }
  return (key) => found.get(nameOf(key)) ?? null;
}

const insertRows = bulkInsert(idempotencyKeys, ['actor', 'key', 'request', 'answer']);

/**
 * Stores answers in one statement.
 * @throws {ConcurrentChange} if another request has stored an answer under one of the keys
 */
export async function storeAnswers(tx: Queries, answers: readonly NewAnswer[]): Promise<void> {
  if (answers.length === 0) return;
  // Ordered, so that two transactions with the same keys wait for each other instead of a deadlock.
  const rows = await tx.execute(
    sql`${insertRows(answers)} order by r.actor, r.key on conflict do nothing returning key`,
  );
  if (rows.length < answers.length) throw new ConcurrentChange('an idempotency key has been used meanwhile');
}

/** Deletes answers older than two days of real time. Clients are promised one day. */
export async function deleteOldAnswers(db: Queries): Promise<void> {
  await db.execute(
    sql`delete from idempotency_keys where created_at < clock_timestamp() - interval '2 days'`,
  );
}
