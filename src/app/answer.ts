/**
 * The answer of a use case on deployments, which a mutation returns and which is stored under its idempotency key. A
 * stored answer contains the number of the deployment's last event: a retry replays the log up to that event.
 */
import { z } from 'zod';
import { type Actor, canSee, speaksFor } from '../access/actor.ts';
import { replay } from '../core/lifecycle/evolve.ts';
import { sideMetricsCodec } from '../core/metrics/sideMetrics.ts';
import { type CanaryDecision, DECISIONS } from '../core/rule/gate.ts';
import { bySide, countCodec, instantCodec } from '../core/values/codecs.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import type { Side } from '../core/values/side.ts';
import { parseStored } from '../core/values/stored.ts';
import type { Violation } from '../core/values/violation.ts';
import { type DeploymentView, findDeployment } from '../store/deployments/deployments.ts';
import { readDeploymentEvents } from '../store/log/deploymentEvents.ts';
import type { Queries } from '../store/postgres/database.ts';
import { type AnswerCodec, refusalCodec } from './execution/idempotency.ts';

export interface Answer {
  /** Null if the use case was executed. */
  readonly refusal: Refusal | null;
  readonly message: string;
  readonly decision: CanaryDecision | null;
  /** The deployment after the command, or its current state if refused; null if there is none. */
  readonly view: DeploymentView | null;
  /** Whether this is the stored answer of an earlier request with the same idempotency key. */
  readonly replayed: boolean;
}

/** The answer of an executed use case. */
export function done(message: string, view: DeploymentView, decision: CanaryDecision | null = null): Answer {
  return { refusal: null, message, decision, view, replayed: false };
}

/** The answer of a refused use case, with the current state of the deployment. */
export function refused(refusal: Refusal, view: DeploymentView | null = null): Answer {
  return { refusal, message: refusal.message, decision: null, view, replayed: false };
}

/** The answer to an invalid input: the message has all violations, the path is that of the first one. */
export function invalid(violations: readonly Violation[], view: DeploymentView | null = null): Answer {
  return refused(invalidInput(violations), view);
}

/** The refusal for a deployment that does not exist or that the actor may not see, without telling which. */
export function notFound(deploymentId: string): Refusal {
  return refusal('NOT_FOUND', `There is no deployment ${deploymentId}`, ['deploymentId']);
}

/** The refusal of a caller that may not speak for a side; null if it may. A bot must not report for its competitor. */
export function sideRefusal(actor: Actor, side: Side): Refusal | null {
  if (speaksFor(actor, side)) return null;
  const own = actor.sides?.join(', ').toLowerCase();
  const message = `${actor.name} speaks for the ${own} side only, not for ${side.toLowerCase()}: use a key with that side`;
  return refusal('INVALID_INPUT', message, ['side']);
}

const storedCodec = z.strictObject({
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

/** How answers are stored, and what of them an actor may see. */
export const answerCodec: AnswerCodec<Answer> = {
  encode: ({ refusal, message, decision, view }) =>
    storedCodec.encode({
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
    const { refusal, message, decision, deployment } = parseStored(storedCodec, answer);
    const view = deployment && (await viewAtThatTime(db, deployment));
    return { refusal, message, decision, view, replayed: true };
  },
  refused,
  visibleTo(actor, answer) {
    if (!answer.view || canSee(actor, answer.view.state.strategyId)) return answer;
    // A stored refusal tells of the deployment, too: it was for a caller who saw it.
    const shown = answer.refusal !== null && !answer.replayed;
    return shown ? { ...answer, view: null } : refused(notFound(answer.view.state.id));
  },
};

type StoredDeployment = NonNullable<z.output<typeof storedCodec>['deployment']>;

/** The deployment as it was when the answer was stored. */
async function viewAtThatTime(db: Queries, stored: StoredDeployment): Promise<DeploymentView | null> {
  const { id, eventCount, metrics, nextCheckAt, now } = stored;
  const current = await findDeployment(db, id);
  if (!current) return null;
  const log = await readDeploymentEvents(db, id, { limit: eventCount });
  if (log.length < eventCount) return current;
  const state = replay(log.map(({ event }) => event));
  return { ...current, state, metrics, nextCheckAt, now };
}
