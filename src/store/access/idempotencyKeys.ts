/** Answers stored by idempotency key, so that a retry gets the first answer and has no second effect. */
import { and, eq, sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { idempotencyKeys } from '../tables/tables.ts';

/** An idempotency key of an actor. `request` is a hash of the mutation and its input. */
export interface KeyedRequest {
  readonly actor: string;
  readonly key: string;
  readonly request: string;
}

/** The answer stored under an actor's key, and the request that it answered; null if there is none. */
export async function findAnswer(
  db: Queries,
  { actor, key }: KeyedRequest,
): Promise<{ readonly request: string; readonly answer: unknown } | null> {
  const [row] = await db
    .select({ request: idempotencyKeys.request, answer: idempotencyKeys.answer })
    .from(idempotencyKeys)
    .where(and(eq(idempotencyKeys.actor, actor), eq(idempotencyKeys.key, key)));
  return row ?? null;
}

/** Stores an answer; false if another request with the same key has stored one before. */
export async function storeAnswer(
  tx: Queries,
  { actor, key, request }: KeyedRequest,
  answer: unknown,
): Promise<boolean> {
  const rows = await tx
    .insert(idempotencyKeys)
    .values({ actor, key, request, answer })
    .onConflictDoNothing()
    .returning({ key: idempotencyKeys.key });
  return rows.length === 1;
}

/** Deletes answers older than two days of real time. Clients are promised one day. */
export async function deleteOldAnswers(db: Queries): Promise<void> {
  await db.execute(
    sql`delete from idempotency_keys where created_at < clock_timestamp() - interval '2 days'`,
  );
}
