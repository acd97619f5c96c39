/** Answers kept by idempotency key, so that a retry gets the first answer instead of a second effect. */
import { and, eq, sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { idempotencyKeys } from '../tables/tables.ts';

/** A key belongs to the actor who sent it. `request` says which mutation with which input. */
export interface KeyedRequest {
  readonly actor: string;
  readonly key: string;
  readonly request: string;
}

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

/** Keeps an answer; false when another request with the same key was first. */
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

/** Forgets answers older than two days of real time; retries are promised for one. */
export async function deleteOldAnswers(db: Queries): Promise<void> {
  await db.execute(
    sql`delete from idempotency_keys where created_at < clock_timestamp() - interval '2 days'`,
  );
}
