/**
 * Heartbeats of bots, which prolong the lease of the canary's capital. Concurrent ones are written in one statement and
 * answered after its commit. One that says that the bot has stood down ends the trial instead.
 */
import { canSee } from '../access/actor.ts';
import { notWatched } from '../core/lifecycle/decide.ts';
import { sessionViolation } from '../core/metrics/sideMetrics.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import { findDeployment } from '../store/deployments/deployments.ts';
import {
  type Heartbeat,
  isReplaced,
  type TakenHeartbeat,
  writeHeartbeats,
} from '../store/deployments/heartbeats.ts';
import { notFound, sideRefusal } from './answer.ts';
import type { Commands } from './commands.ts';
import type { Actor, App } from './context.ts';
import { createBatcher } from './execution/batcher.ts';
import { transaction } from './execution/transaction.ts';
import { rememberStrategies } from './reports.ts';

export interface HeartbeatRequest extends Heartbeat {
  /** Whether the bot has stood down, because no request of it was answered within the lease. */
  readonly stoodDown: boolean;
}

export interface HeartbeatAnswer {
  /** Null: the heartbeat is on disk, or stale. */
  readonly refusal: Refusal | null;
  /** Another session of the side had begun before: nothing has changed. */
  readonly stale: boolean;
  /** Serin's time of the heartbeat, epoch milliseconds; null where none was read. */
  readonly now: SerinInstant | null;
  /** How long the lease of the canary's capital lasts from then on, seconds; null where nothing was prolonged. */
  readonly leaseSeconds: number | null;
}

export interface Heartbeats {
  /** Takes a heartbeat; the answer comes after its commit. */
  take(actor: Actor, request: HeartbeatRequest): Promise<HeartbeatAnswer>;
}

/** Maximum number of heartbeats in one statement. */
const MAX_BATCH_SIZE = 500;

export function createHeartbeats(app: App, commands: Commands): Heartbeats {
  const write = createBatcher({
    maxBatchSize: MAX_BATCH_SIZE,
    maxConcurrentBatches: 1,
    async run(beats: readonly Heartbeat[]) {
      const distinct = [...new Map(beats.map((beat) => [keyOf(beat), beat])).values()];
      const taken = await transaction(app, (tx) => writeHeartbeats(tx, distinct));
      const byKey = new Map(taken.map((each) => [keyOf(each), each]));
      return (beat): TakenHeartbeat | null => byKey.get(keyOf(beat)) ?? null;
    },
  });
  const strategyOf = rememberStrategies(app);

  async function answer(beat: Heartbeat): Promise<HeartbeatAnswer> {
    const { deploymentId } = beat;
    const taken = await write(beat);
    if (!taken) return refused(notFound(deploymentId));
    const { watched, stale, at, leaseSeconds } = taken;
    if (watched) return { refusal: null, stale, now: at, leaseSeconds: stale ? null : leaseSeconds };
    const view = await findDeployment(app.db, deploymentId);
    return refused(view ? notWatched(view.state, 'heartbeats') : notFound(deploymentId), at);
  }

  return {
    async take(actor, { stoodDown, ...beat }) {
      const { deploymentId, side, session } = beat;
      if (actor.strategies !== null) {
        const strategyId = await strategyOf(deploymentId);
        if (strategyId === null || !canSee(actor, strategyId)) return refused(notFound(deploymentId));
      }
      const notOurs = sideRefusal(actor, side);
      if (notOurs) return refused(notOurs);
      const misnamed = session === null ? null : sessionViolation(session);
      if (misnamed) return refused(invalidInput([misnamed]));
      if (!stoodDown) return answer(beat);
      if (side === 'STABLE') return refused(refusal('INVALID_INPUT', NO_LEASE, ['stoodDown']));
      // The bot that has taken over may be well, and it is its lease now.
      if (await isReplaced(app.db, beat))
        return { refusal: null, stale: true, now: null, leaseSeconds: null };
      const ended = await commands.submit(
        actor,
        { deploymentId, expectedRevision: null, idempotencyKey: null, operation: 'heartbeat', input: beat },
        { type: 'STAND_DOWN' },
      );
      return {
        refusal: ended.refusal,
        stale: false,
        now: ended.view?.now ?? null,
        leaseSeconds: null,
      };
    },
  };
}

const NO_LEASE = 'stoodDown is for the canary: the stable side has no lease';

const keyOf = ({ deploymentId, side, session }: Heartbeat) => JSON.stringify([deploymentId, side, session]);

const refused = (no: Refusal, now: SerinInstant | null = null): HeartbeatAnswer => ({
  refusal: no,
  stale: false,
  now,
  leaseSeconds: null,
});
