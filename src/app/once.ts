/**
 * A use case that answers once: its answer is kept under the request's idempotency key in the transaction that did
 * the work, so that a retry hears the same and does nothing twice.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { REFUSAL_CODES, type Refusal, refusal } from '../core/refusal.ts';
import type { Queries } from '../store/database.ts';
import { findAnswer, type KeyedRequest, keepAnswer } from '../store/idempotency.ts';
import type { Actor, App } from './app.ts';
import { transaction } from './transaction.ts';

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
export interface Keeping<A extends Answered> {
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

/** Rolls a transaction back and carries the answer out of it. */
class RolledBack<A> extends Error {
  constructor(readonly answer: A) {
    super('the use case was refused');
  }
}

/** Another request with the same key committed first. */
class KeyTaken extends Error {}

/** Runs a use case in one transaction. A refusal writes nothing but its own answer. */
export async function once<A extends Answered>(
  app: App,
  request: Request,
  keeping: Keeping<A>,
  work: (tx: Queries) => Promise<A>,
): Promise<A> {
  const keyed = keyOf(request);
  const recalled = async () => keyed && recall(app.db, keyed, keeping);
  const earlier = await recalled();
  if (earlier) return earlier;
  try {
    return await transaction(app, async (tx) => {
      const made = await work(tx);
      if (made.refusal) throw new RolledBack(made);
      if (keyed && !(await keepAnswer(tx, keyed, keeping.encode(made)))) throw new KeyTaken();
      return made;
    });
  } catch (error) {
    const first = error instanceof KeyTaken ? await recalled() : null;
    if (first) return first;
    if (!(error instanceof RolledBack)) throw error;
    const answer: A = error.answer;
    if (!keyed) return answer;
    if (await keepAnswer(app.db, keyed, keeping.encode(answer))) return answer;
    return (await recalled()) ?? answer;
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
  keeping: Keeping<A>,
): Promise<A | null> {
  const kept = await findAnswer(db, keyed);
  if (!kept) return null;
  if (kept.request === keyed.request) return keeping.decode(db, kept.answer);
  const message =
    `The idempotency key ${keyed.key} was used for another request: ` +
    'send the same input again, or a new key for a new request';
  return keeping.refused(refusal('IDEMPOTENCY_KEY_REUSED', message, ['idempotencyKey']));
}
