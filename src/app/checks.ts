import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { nextCheckAt } from '../core/lifecycle/state.ts';
import { applyFetchResult, type FetchResult, fetchFailure } from '../core/metrics/fetched.ts';
import { type BySide, SIDES } from '../core/values/side.ts';
import {
  type DeploymentView,
  lockDeployment,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { type Claim, releaseClaim, standingClaims } from '../store/deployments/leases.ts';
import { saveMetrics } from '../store/deployments/sideMetrics.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { TakenSample } from '../store/log/samples.ts';
import type { Queries } from '../store/postgres/database.ts';
import { type App, SERIN } from './context.ts';
import { createBatcher } from './execution/batcher.ts';
import { allDone, transaction } from './execution/transaction.ts';
import { stageCommand } from './stageCommand.ts';

/** The events of a check; null when the claim was lost meanwhile and nothing was written. */
export type CheckResult = readonly CanaryEvent[] | null;

/** What one check goes on. */
interface PendingCheck {
  readonly claim: Claim;
  /** What the provider answered, or null when the bots report. */
  readonly fetched: BySide<FetchResult> | null;
}

/** As many as the loop claims at once. */
const MAX_BATCH_SIZE = 64;
/** One decides while the other is flushed to the disk. */
const MAX_CONCURRENT_BATCHES = 2;

export interface Checks {
  /** The same as {@link applyCheck}, perhaps together with others. */
  apply(claim: Claim, fetched: BySide<FetchResult> | null): Promise<CheckResult>;
}

/**
 * Checks that are ready at the same time share a transaction; one whose deployment somebody is at, and any of a
 * transaction that fails, has one of its own, so that no deployment waits for another.
 */
export function createChecks(app: App): Checks {
  const apply = createBatcher({
    maxBatchSize: MAX_BATCH_SIZE,
    maxConcurrentBatches: MAX_CONCURRENT_BATCHES,
    async run(checks: readonly PendingCheck[]) {
      const results = await applyBatch(app, checks).catch(() => null);
      return (look) => {
        const result = results?.get(look);
        return result === undefined ? applyCheck(app, look.claim, look.fetched) : result;
      };
    },
  });
  return { apply: (claim, fetched) => apply({ claim, fetched }) };
}

/**
 * Applies a check. The claim is the fence: a node that slept past its lease finds another token, or none, and leaves
 * everything as it is.
 * @param fetched what the provider answered, or null when the bots report
 */
export async function applyCheck(
  app: App,
  claim: Claim,
  fetched: BySide<FetchResult> | null,
): Promise<CheckResult> {
  const look = { claim, fetched };
  const { deploymentId } = claim;
  const results = await app.inDeploymentOrder(deploymentId, () =>
    applyLocked(app, [look], async (tx) => {
      const view = await lockDeployment(tx, deploymentId);
      return new Map(view && [[deploymentId, view]]);
    }),
  );
  return results.get(look) ?? null;
}

/** Applies checks in one transaction, except on deployments that somebody else is at: those have no result. */
function applyBatch(
  app: App,
  checks: readonly PendingCheck[],
): Promise<ReadonlyMap<PendingCheck, CheckResult>> {
  const ids = checks.map(({ claim }) => claim.deploymentId);
  return applyLocked(app, checks, async (tx) => (await lockFreeDeployments(tx, ids)).free);
}

/** @param lock locks deployments and answers them as they stand */
async function applyLocked(
  app: App,
  checks: readonly PendingCheck[],
  lock: (tx: Queries) => Promise<ReadonlyMap<string, DeploymentView>>,
): Promise<ReadonlyMap<PendingCheck, CheckResult>> {
  return transaction(app, async (tx) => {
    const claims = checks.map(({ claim }) => claim);
    const [views, standing] = await Promise.all([lock(tx), standingClaims(tx, claims)]);
    const unit = createUnitOfWork();
    const applied = checks.flatMap((each) => {
      const view = views.get(each.claim.deploymentId);
      return view ? [{ each, view }] : [];
    });
    const results = await allDone(
      applied.map(async ({ each, view }): Promise<[PendingCheck, CheckResult]> => {
        const stands = standing.has(each.claim.deploymentId);
        return [each, stands ? await look(tx, unit, view, each) : null];
      }),
    );
    await flush(tx, unit);
    return new Map(results);
  });
}

/** One check, on a locked deployment whose claim stands. What follows is left to be written. */
async function look(
  tx: Queries,
  unit: UnitOfWork,
  view: DeploymentView,
  { claim, fetched }: PendingCheck,
): Promise<readonly CanaryEvent[]> {
  const looked = fetched ? await saveFetched(tx, view, fetched) : view;
  const failure = fetched ? fetchFailure(fetched) : null;
  const outcome = await stageCommand(unit, tx, looked, { type: 'CHECK', failure }, SERIN);
  if (!outcome.accepted) throw new Error(`a check was refused: ${outcome.refusal.message}`);
  if (outcome.events.length === 0) await releaseClaim(tx, claim, nextCheckAt(view.state, view.now));
  unit.samples.push(...samplesOf(looked, outcome.events));
  return outcome.events;
}

/** Writes what was answered and looks at the deployment with it. */
async function saveFetched(
  tx: Queries,
  view: DeploymentView,
  fetched: BySide<FetchResult>,
): Promise<DeploymentView> {
  const metrics = applyFetchResult(view.metrics, fetched, view.now);
  for (const side of SIDES) {
    const taken = metrics[side];
    if (fetched[side].ok && taken) await saveMetrics(tx, view.state.id, side, taken);
  }
  return { ...view, metrics };
}

function samplesOf({ state, metrics }: DeploymentView, events: readonly CanaryEvent[]): TakenSample[] {
  return events.flatMap((event) => {
    if (event.type !== 'CANARY_METRICS_UPDATED') return [];
    const { check, at, decision } = event;
    return [{ deploymentId: state.id, check, at, decision, metrics }];
  });
}
