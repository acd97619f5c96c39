/**
 * The answer of a use case: what a mutation says, kept by idempotency key so that a retry hears the same. A kept
 * answer names the place in the log it belongs to; the deployment as it was then is replayed from the log.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { sees } from '../access/actor.ts';
import { bySide, countCodec, instantCodec, sideMetricsCodec } from '../core/codec.ts';
import { type CanaryDecision, DECISIONS } from '../core/comparison.ts';
import { replay } from '../core/evolve.ts';
import { REFUSAL_CODES, type Refusal, refusal } from '../core/refusal.ts';
import { describeViolations, type Violation } from '../core/violation.ts';
import type { Queries } from '../store/database.ts';
import { type DeploymentView, findDeployment } from '../store/deployments.ts';
import { findAnswer, type KeyedRequest, keepAnswer } from '../store/idempotency.ts';
import { readDeploymentEvents } from '../store/log.ts';
import type { Actor, App } from './app.ts';

export interface Answer {
  /** Null when it was done. */
  readonly refusal: Refusal | null;
  readonly message: string;
  readonly decision: CanaryDecision | null;
  /** The deployment after the command, or as it stands when it was refused; null when there is none. */
  readonly view: DeploymentView | null;
  readonly replayed: boolean;
}

export function done(message: string, view: DeploymentView, decision: CanaryDecision | null = null): Answer {
  return { refusal: null, message, decision, view, replayed: false };
}

export function refused(refusal: Refusal, view: DeploymentView | null = null): Answer {
  return { refusal, message: refusal.message, decision: null, view, replayed: false };
}

/** The answer to an input that breaks rules: all of them in the message, the first one's path. */
export function invalid(violations: readonly Violation[], view: DeploymentView | null = null): Answer {
  const path = violations[0]?.path ?? [];
  return refused(refusal('INVALID_INPUT', describeViolations(violations), path), view);
}

/** What identifies a request for idempotency: who, which mutation, which input. */
export interface Request {
  readonly actor: Actor;
  readonly operation: string;
  readonly input: unknown;
  readonly idempotencyKey: string | null;
}

const keptCodec = z.strictObject({
  refusal: z
    .strictObject({ code: z.enum(REFUSAL_CODES), message: z.string(), path: z.array(z.string()) })
    .nullable(),
  message: z.string(),
  decision: z.enum(DECISIONS).nullable(),
  deployment: z
    .strictObject({
      id: z.string(),
      eventCount: countCodec,
      metrics: bySide(sideMetricsCodec.nullable()),
      nextCheckAt: instantCodec.nullable(),
      now: instantCodec,
    })
    .nullable(),
});

/** Rolls a transaction back and carries the answer out of it. */
class RolledBack extends Error {
  constructor(readonly answer: Answer) {
    super(answer.message);
  }
}

/** Another request with the same key committed first. */
class KeyTaken extends Error {}

/**
 * Runs a use case in one transaction and keeps its answer under the request's key in the same one. A refusal writes
 * nothing but its own answer.
 */
export async function answerOnce(
  app: App,
  request: Request,
  work: (tx: Queries) => Promise<Answer>,
): Promise<Answer> {
  const keyed = keyOf(request);
  const recalled = async () => keyed && asSeen(request, await recall(app.db, keyed));
  const earlier = await recalled();
  if (earlier) return earlier;
  try {
    const answer = await transaction(app, async (tx) => {
      const made = await work(tx);
      if (made.refusal) throw new RolledBack(made);
      if (keyed && !(await keepAnswer(tx, keyed, encode(made)))) throw new KeyTaken();
      return made;
    });
    app.doorbell.ring();
    return answer;
  } catch (error) {
    if (error instanceof KeyTaken) return (await recalled()) ?? raise(error);
    if (!(error instanceof RolledBack)) throw error;
    const answer = asSeen(request, error.answer);
    if (!keyed) return answer;
    if (await keepAnswer(app.db, keyed, encode(answer))) return answer;
    return (await recalled()) ?? answer;
  }
}

/** Nobody is shown a deployment that they do not see, not even in a refusal or in an answer from earlier. */
function asSeen<T extends Answer | null>({ actor }: Request, answer: T): T | Answer {
  if (!answer?.view || sees(actor, answer.view.state.strategyId)) return answer;
  return answer.replayed ? refused(notFound(answer.view.state.id)) : { ...answer, view: null };
}

/** There is no such deployment, or none that the actor sees: the answer is the same. */
export function notFound(deploymentId: string): Refusal {
  return refusal('NOT_FOUND', `There is no deployment ${deploymentId}`, ['deploymentId']);
}

function raise(error: Error): never {
  throw error;
}

/** How long an answer may take, milliseconds. Who has waited so long is told to try again. */
export const PATIENCE_MS = 8000;

/** A transaction got its turn only when nobody waited for it any more; it did nothing. */
export class WaitedTooLong extends Error {
  readonly code = 'WAITED_TOO_LONG';
  constructor() {
    super('the database was away, or busy, for too long');
  }
}

const TRANSIENT = new Set(['40001', '40P01']);

/**
 * A transaction that is tried again when the database ended it for the sake of another. One that had to queue through
 * an outage does nothing when it is over: its caller has been told to try again, and may have changed its mind.
 */
export async function transaction<T>(app: App, work: (tx: Queries) => Promise<T>): Promise<T> {
  const askedAt = performance.now();
  const inTime = (tx: Queries) => {
    if (performance.now() - askedAt > PATIENCE_MS) throw new WaitedTooLong();
    return work(tx);
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await app.db.transaction(inTime);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
      if (attempt >= 4 || !TRANSIENT.has(code)) throw error;
    }
  }
}

function keyOf({ actor, operation, input, idempotencyKey }: Request): KeyedRequest | null {
  if (idempotencyKey === null) return null;
  const request = createHash('sha256')
    .update(JSON.stringify([operation, input]))
    .digest('hex');
  return { actor: actor.name, key: idempotencyKey, request };
}

function encode({ refusal, message, decision, view }: Answer): z.input<typeof keptCodec> {
  return keptCodec.encode({
    refusal: refusal && { ...refusal, path: [...refusal.path] },
    message,
    decision,
    deployment: view && {
      id: view.state.id,
      eventCount: view.state.eventCount,
      metrics: view.metrics,
      nextCheckAt: view.nextCheckAt,
      now: view.now,
    },
  });
}

/** The answer kept under a key, if there is one: the first answer, or that the key belongs to another request. */
async function recall(db: Queries, keyed: KeyedRequest): Promise<Answer | null> {
  const kept = await findAnswer(db, keyed);
  if (!kept) return null;
  if (kept.request !== keyed.request) {
    const message =
      `The idempotency key ${keyed.key} was used for another request: ` +
      'send the same input again, or a new key for a new request';
    return refused(refusal('IDEMPOTENCY_KEY_REUSED', message, ['idempotencyKey']));
  }
  const { refusal: no, message, decision, deployment } = keptCodec.parse(kept.answer);
  const view = deployment && (await asItWas(db, deployment));
  return { refusal: no, message, decision, view, replayed: true };
}

type KeptDeployment = NonNullable<z.output<typeof keptCodec>['deployment']>;

async function asItWas(db: Queries, kept: KeptDeployment): Promise<DeploymentView | null> {
  const today = await findDeployment(db, kept.id);
  if (!today) return null;
  const log = await readDeploymentEvents(db, kept.id, { limit: kept.eventCount });
  if (log.length < kept.eventCount) return today;
  const state = replay(log.map(({ event }) => event));
  return { ...today, state, metrics: kept.metrics, nextCheckAt: kept.nextCheckAt, now: kept.now };
}
