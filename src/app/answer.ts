/**
 * The answer of a use case: what a mutation says, kept by idempotency key so that a retry hears the same. A kept
 * answer names the place in the log it belongs to; the deployment as it was then is replayed from the log.
 */
import { z } from 'zod';
import { canSee } from '../access/actor.ts';
import { replay } from '../core/lifecycle/evolve.ts';
import { sideMetricsCodec } from '../core/metrics/sideMetrics.ts';
import { type CanaryDecision, DECISIONS } from '../core/rule/comparison.ts';
import { bySide, countCodec, instantCodec } from '../core/values/codecs.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import { describeViolations, type Violation } from '../core/values/violation.ts';
import { type DeploymentView, findDeployment } from '../store/deployments/deployments.ts';
import { readDeploymentEvents } from '../store/log/eventLog.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import type { App } from './context.ts';
import {
  type AnswerCodec,
  type Attempt,
  type Request,
  refusalCodec,
  runIdempotent,
  runIdempotentAttempt,
} from './execution/idempotency.ts';

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

/** There is no such deployment, or none that the actor sees: the answer is the same. */
export function notFound(deploymentId: string): Refusal {
  return refusal('NOT_FOUND', `There is no deployment ${deploymentId}`, ['deploymentId']);
}

const keptCodec = z.strictObject({
  refusal: refusalCodec.nullable(),
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

const codec: AnswerCodec<Answer> = {
  encode: ({ refusal, message, decision, view }) =>
    keptCodec.encode({
      refusal,
      message,
      decision,
      deployment: view && {
        id: view.state.id,
        eventCount: view.state.eventCount,
        metrics: view.metrics,
        nextCheckAt: view.nextCheckAt,
        now: view.now,
      },
    }),
  async decode(db, answer) {
    const { refusal, message, decision, deployment } = keptCodec.parse(answer);
    const view = deployment && (await asItWas(db, deployment));
    return { refusal, message, decision, view, replayed: true };
  },
  refused,
};

/** A use case on deployments, once (see {@link runIdempotent}); nobody is shown too much. */
export function answerIdempotent(
  app: App,
  request: Request,
  work: (tx: LogWriteTransaction) => Promise<Answer>,
): Promise<Answer> {
  return runIdempotent(app, request, codec, work).then((answer) => asSeen(request, answer));
}

/** The same for a use case that sees to its transaction itself. */
export function answerIdempotentAttempt(
  app: App,
  request: Request,
  attempt: Attempt<Answer>,
): Promise<Answer> {
  return runIdempotentAttempt(app, request, codec, attempt).then((answer) => asSeen(request, answer));
}

/** Nobody is shown a deployment that they do not see, not even in a refusal or in an answer from earlier. */
function asSeen({ actor }: Request, answer: Answer): Answer {
  if (!answer.view || canSee(actor, answer.view.state.strategyId)) return answer;
  return answer.refusal ? { ...answer, view: null } : refused(notFound(answer.view.state.id));
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
