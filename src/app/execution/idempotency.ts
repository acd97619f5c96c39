/**
 * A use case that answers once: its answer is kept under the request's idempotency key in the transaction that did
 * the work, so that a retry hears the same and does nothing twice.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Actor } from '../../access/actor.ts';
import { REFUSAL_CODES, type Refusal, refusal } from '../../core/values/refusal.ts';
import { findAnswer, type KeyedRequest, storeAnswer } from '../../store/access/idempotencyKeys.ts';
import type { Queries } from '../../store/postgres/database.ts';
import type { LogWriteTransaction } from '../../store/postgres/notifier.ts';
import type { ExecutionContext } from './executionContext.ts';
import { rollback, transaction } from './transaction.ts';

/** What identifies a request for idempotency: who, which mutation, which input. */
export interface Request {
  readonly actor: Actor;
  readonly operation: string;
  readonly input: unknown;
  readonly idempotencyKey: string | null;
}

interface Answered {
  readonly refusal: Refusal | null;
}

/** How answers of a kind are kept. */
export interface AnswerCodec<A extends Answered> {
  encode(answer: A): unknown;
  /** The answer as it was kept, marked as replayed. */
  decode(db: Queries, kept: unknown): Promise<A>;
  refused(refusal: Refusal): A;
}

/** How a refusal is kept. */
export const refusalCodec = z.strictObject({
  code: z.enum(REFUSAL_CODES),
  message: z.string(),
  path: z.array(z.string()).readonly(),
});

/** Another request with the same key committed first. */
class KeyTaken extends Error {}

/** Keeps the answer of what was done, in the transaction that did it; throws where the key is taken meanwhile. */
export type StoreAnswer<A> = (tx: Queries, answer: A) => Promise<void>;

/** Does what is asked and keeps the answer, in one transaction; or is refused, and has written nothing. */
export type Attempt<A> = (storeAnswer: StoreAnswer<A>) => Promise<A>;

/** Runs a use case in one transaction. A refusal writes nothing but its own answer. */
export function runIdempotent<A extends Answered>(
  app: ExecutionContext,
  request: Request,
  codec: AnswerCodec<A>,
  work: (tx: LogWriteTransaction) => Promise<A>,
): Promise<A> {
  return runIdempotentAttempt(app, request, codec, (storeAnswer) =>
    transaction(app, async (tx) => {
      const made = await work(tx);
      if (made.refusal) return rollback(made);
      await storeAnswer(tx, made);
      return made;
    }),
  );
}

/** The same for a use case that sees to its transaction itself. */
export async function runIdempotentAttempt<A extends Answered>(
  app: ExecutionContext,
  request: Request,
  codec: AnswerCodec<A>,
  attempt: Attempt<A>,
): Promise<A> {
  const keyed = keyOf(request);
  const recalled = async () => keyed && recall(app.db, keyed, codec);
  const kept = async (db: Queries, answer: A) =>
    keyed === null || storeAnswer(db, keyed, codec.encode(answer));
  const earlier = await recalled();
  if (earlier) return earlier;
  try {
    const answer = await attempt(async (tx, made) => {
      if (!(await kept(tx, made))) throw new KeyTaken();
    });
    if (answer.refusal === null || (await kept(app.db, answer))) return answer;
    return (await recalled()) ?? answer;
  } catch (error) {
    const first = error instanceof KeyTaken ? await recalled() : null;
    if (first) return first;
    throw error;
  }
}

function keyOf({ actor, operation, input, idempotencyKey }: Request): KeyedRequest | null {
  if (idempotencyKey === null) return null;
  const request = createHash('sha256')
    .update(JSON.stringify([operation, input]))
    .digest('hex');
  return { actor: actor.name, key: idempotencyKey, request };
}

async function recall<A extends Answered>(
  db: Queries,
  keyed: KeyedRequest,
  codec: AnswerCodec<A>,
): Promise<A | null> {
  const kept = await findAnswer(db, keyed);
  if (!kept) return null;
  if (kept.request === keyed.request) return codec.decode(db, kept.answer);
  const message =
    `The idempotency key ${keyed.key} was used for another request: ` +
    'send the same input again, or a new key for a new request';
  return codec.refused(refusal('IDEMPOTENCY_KEY_REUSED', message, ['idempotencyKey']));
}
