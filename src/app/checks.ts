/**
 * Applies observation checks. Concurrent checks are batched into one transaction. A check whose deployment is locked, or
 * whose batch failed, runs in its own transaction.
 */
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { nextCheckAt } from '../core/lifecycle/state.ts';
import { applyFetchResult, type FetchResult, fetchFailure } from '../core/metrics/fetched.ts';
import { type BySide, SIDES } from '../core/values/side.ts';
import {
  type DeploymentView,
  type LockedDeployments,
  lockDeployments,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { type Claim, releaseClaim, standingClaims } from '../store/deployments/leases.ts';
import { saveMetrics } from '../store/deployments/sideMetrics.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { TakenSample } from '../store/log/samples.ts';
import { allDone } from '../store/postgres/allDone.ts';
import type { Queries } from '../store/postgres/database.ts';
import { type App, SERIN } from './context.ts';
import { runBatch } from './execution/batch.ts';
import { createBatcher } from './execution/batcher.ts';
import { transaction } from './execution/transaction.ts';
import { stageCommand } from './stageCommand.ts';

/** The events of a check; null if the claim was lost and nothing was written. */
export type CheckResult = readonly CanaryEvent[] | null;

/** A check that waits for its transaction. */
interface PendingCheck {
  readonly claim: Claim;
  /** The results of the provider; null if bots report. */
  readonly fetched: BySide<FetchResult> | null;
}

/** The number of deployments that the observation loop claims with one statement. */
const MAX_BATCH_SIZE = 64;
/** One batch decides while the other waits for the commit. */
const MAX_CONCURRENT_BATCHES = 2;

export interface Checks {
  /**
   * Applies a check. The claim's token is the fence: if the node has outlived its lease, nothing is written.
   * @param fetched the results of the provider; null if bots report
   */
  apply(claim: Claim, fetched: BySide<FetchResult> | null): Promise<CheckResult>;
}

export function createChecks(app: App): Checks {
  const apply = createBatcher({
    maxBatchSize: MAX_BATCH_SIZE,
    maxConcurrentBatches: MAX_CONCURRENT_BATCHES,
    async run(checks: readonly PendingCheck[]) {
      const results = await runBatch(app, 'checks', checks, () =>
        applyTogether(app, checks, lockFreeDeployments),
      );
      return (check) => {
        const result = results.get(check);
        return result === undefined ? applyAlone(app, check) : result;
      };
    },
  });
  return { apply: (claim, fetched) => apply({ claim, fetched }) };
}

/** Applies a check in its own transaction, and waits for its deployment's lock. */
async function applyAlone(app: App, check: PendingCheck): Promise<CheckResult> {
  const results = await app.inDeploymentOrder(check.claim.deploymentId, () =>
    applyTogether(app, [check], lockDeployments),
  );
  return results.get(check) ?? null;
}

/** Applies checks in one transaction. Those whose deployment `lock` leaves to another transaction have no result. */
async function applyTogether(
  app: App,
  checks: readonly PendingCheck[],
  lock: (tx: Queries, ids: readonly string[]) => Promise<LockedDeployments>,
): Promise<ReadonlyMap<PendingCheck, CheckResult>> {
  return transaction(app, async (tx) => {
    const claims = checks.map(({ claim }) => claim);
    const ids = claims.map(({ deploymentId }) => deploymentId);
    const [{ free }, standing] = await Promise.all([lock(tx, ids), standingClaims(tx, claims)]);
    const unit = createUnitOfWork();
    const locked = checks.flatMap((check) => {
      const view = free.get(check.claim.deploymentId);
      return view ? [{ check, view }] : [];
    });
    const results = await allDone(
      locked.map(async ({ check, view }): Promise<[PendingCheck, CheckResult]> => {
        const stands = standing.has(check.claim.deploymentId);
        return [check, stands ? await stageCheck(tx, unit, view, check) : null];
      }),
    );
    await flush(tx, unit);
    return new Map(results);
  });
}

/** Decides a check on a locked deployment whose claim stands, and stages what follows. */
async function stageCheck(
  tx: Queries,
  unit: UnitOfWork,
  before: DeploymentView,
  { claim, fetched }: PendingCheck,
): Promise<readonly CanaryEvent[]> {
  const view = fetched ? await saveFetched(tx, before, fetched) : before;
  const failure = fetched ? fetchFailure(fetched) : null;
  const outcome = stageCommand(unit, view, { type: 'CHECK', failure }, SERIN);
  if (!outcome.accepted) throw new Error(`a check was refused: ${outcome.refusal.message}`);
  if (outcome.events.length === 0) await releaseClaim(tx, claim, nextCheckAt(view.state, view.now));
  unit.samples.push(...samplesOf(view, outcome.events));
  return outcome.events;
}

/** Writes the results of the provider and returns the deployment with them. */
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
