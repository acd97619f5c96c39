/**
 * Idempotency: the answer of a use case is stored under the request's key in the transaction that did the work, so that
 * a retry returns the stored answer and has no second effect.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Actor } from '../../access/actor.ts';
import { REFUSAL_CODES, type Refusal, refusal } from '../../core/values/refusal.ts';
import {
  findAnswers,
  isKeyTaken,
  type KeyedRequest,
  type StoredAnswer,
  storeAnswers,
} from '../../store/access/idempotencyKeys.ts';
import type { Queries } from '../../store/postgres/database.ts';
import type { LogWriteTransaction } from '../../store/postgres/notifier.ts';
import { awaitReplication } from '../../store/postgres/replication.ts';
import type { ExecutionContext } from './executionContext.ts';
import { rollback, transaction } from './transaction.ts';

/** A request of a use case: the actor, the mutation's name, its input and the idempotency key, if the caller gave one. */
export interface Request {
  readonly actor: Actor;
  readonly operation: string;
  readonly input: unknown;
  readonly idempotencyKey: string | null;
}

/** The actor and the idempotency key of a request. */
export type Requester = Pick<Request, 'actor' | 'idempotencyKey'>;

interface Answered {
  readonly refusal: Refusal | null;
}

/** How answers of one kind are stored and shown. */
export interface AnswerCodec<A extends Answered> {
  encode(answer: A): unknown;
  /** The answer as it was stored, marked as replayed. */
  decode(db: Queries, stored: unknown): Promise<A>;
  refused(refusal: Refusal): A;
  /** The answer without what the actor may not see. */
  visibleTo(actor: Actor, answer: A): A;
}

/** How a refusal is stored. */
export const refusalCodec = z.strictObject({
  code: z.enum(REFUSAL_CODES),
  message: z.string(),
  path: z.array(z.string()).readonly(),
});

/** As many characters as the index of stored answers holds, whatever they are. */
const MAX_KEY_LENGTH = 255;

/** Why a request's key cannot be used; null if it can. */
export function keyRefusal({ idempotencyKey }: Request): Refusal | null {
  const length = idempotencyKey?.length ?? 0;
  if (length <= MAX_KEY_LENGTH) return null;
  const message = `idempotencyKey must have at most ${MAX_KEY_LENGTH} characters, got ${length}`;
  return refusal('INVALID_INPUT', message, ['idempotencyKey']);
}

/**
 * The key of a request; null if the caller gave none, or sees nothing and so can have done nothing. The empty string is
 * what forms and unset variables send: as a key, all their requests would share it.
 */
export function keyOf({ actor, operation, input, idempotencyKey }: Request): KeyedRequest | null {
  if (idempotencyKey === null || idempotencyKey === '' || actor.strategies?.length === 0) return null;
  const request = hash('sha256', JSON.stringify([operation, input]), 'hex');
  const since = actor.credential.type === 'KEY' ? actor.credential.createdAt : Number.NEGATIVE_INFINITY;
  return { actor: actor.subject, formerly: { name: actor.name, since }, key: idempotencyKey, request };
}

/**
 * The stored answer of a key, or the refusal of a key that was used for another request. In a transaction, whose commit
 * waits until the one that stored the answer has reached a synchronous standby too.
 */
export async function recall<A extends Answered>(
  tx: Queries,
  key: KeyedRequest,
  stored: StoredAnswer,
  codec: AnswerCodec<A>,
): Promise<A> {
  await awaitReplication(tx);
  if (stored.request === key.request) return codec.decode(tx, stored.answer);
  const message =
    `The idempotency key ${key.key} was used for another request: ` +
    'send the same input again, or a new key for a new request';
  return codec.refused(refusal('IDEMPOTENCY_KEY_REUSED', message, ['idempotencyKey']));
}

/**
 * Runs a use case in one transaction, or returns the answer that is stored under the request's key. A refusal rolls the
 * transaction back and is stored too.
 * @param askedAt when the caller began to wait, by `performance.now()`
 */
export async function runIdempotent<A extends Answered>(
  app: ExecutionContext,
  request: Request,
  codec: AnswerCodec<A>,
  work: (tx: LogWriteTransaction) => Promise<A>,
  askedAt = performance.now(),
): Promise<A> {
  const unusable = keyRefusal(request);
  if (unusable) return codec.refused(unusable);
  const key = keyOf(request);
  const outcome = await transaction<{ answer: A; unstored: boolean }>(
    app,
    async (tx) => {
      const earlier = await findEarlier(tx, key, codec);
      if (earlier) return { answer: earlier, unstored: false };
      const answer = await work(tx);
      if (answer.refusal) {
        return rollback({ answer, unstored: key !== null && app.refusalQuota.take(key.actor) });
      }
      if (key) await storeAnswers(tx, [{ ...key, answer: codec.encode(answer) }]);
      return { answer, unstored: false };
    },
    askedAt,
  );
  const { answer, unstored } = outcome;
  const final = key && unstored ? await storeRefusal(app, key, codec, answer) : answer;
  return codec.visibleTo(request.actor, final);
}

async function findEarlier<A extends Answered>(
  db: Queries,
  key: KeyedRequest | null,
  codec: AnswerCodec<A>,
): Promise<A | null> {
  if (key === null) return null;
  const stored = (await findAnswers(db, [key]))(key);
  return stored && recall(db, key, stored, codec);
}

/** Stores a refusal. If a concurrent request with the same key has stored its answer first, returns that one. */
async function storeRefusal<A extends Answered>(
  { db }: ExecutionContext,
  key: KeyedRequest,
  codec: AnswerCodec<A>,
  answer: A,
): Promise<A> {
  try {
    await storeAnswers(db, [{ ...key, answer: codec.encode(answer) }]);
    return answer;
  } catch (error) {
    if (!isKeyTaken(error)) throw error;
    return (await db.transaction((tx) => findEarlier(tx, key, codec))) ?? answer;
  }
}
