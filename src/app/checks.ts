/**
 * Applies observation checks, many in one transaction. Deployments whose bots report are found, locked and checked in
 * it. Of those with a provider the concurrent checks are batched; one whose deployment is locked, or whose batch failed,
 * runs in its own transaction.
 */
import type { SideReset } from '../core/lifecycle/command.ts';
import { type CanaryEvent, pairedSignals } from '../core/lifecycle/events.ts';
import { evolve } from '../core/lifecycle/evolve.ts';
import { pointOf } from '../core/lifecycle/seriesPoint.ts';
import { nextCheckAt, observationOf, sideReturn } from '../core/lifecycle/state.ts';
import { type FetchedSide, type FetchResult, fetchFailure, takeFetched } from '../core/metrics/fetched.ts';
import type { MetricsBySide, SideMetrics } from '../core/metrics/sideMetrics.ts';
import type { Decimal } from '../core/values/decimal.ts';
import { type BySide, SIDES, type Side } from '../core/values/side.ts';
import {
  type DeploymentView,
  type LockedDeployments,
  lockDeployments,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { type Claim, lockDue, setNextCheck, standingClaims, stillDue } from '../store/deployments/leases.ts';
import { readRecord, saveMetrics } from '../store/deployments/sideMetrics.ts';
import { markPaired, readSignalPairs } from '../store/deployments/signals.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { TakenSample } from '../store/log/samples.ts';
import { allDone } from '../store/postgres/allDone.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { type App, SERIN } from './context.ts';
import { batchFailed, runBatch } from './execution/batch.ts';
import { createBatcher } from './execution/batcher.ts';
import { transaction } from './execution/transaction.ts';
import { stageCommand, stagePresentRule } from './stageCommand.ts';

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
  /** Finds deployments that are due and whose bots report, the most overdue first, and checks them in one transaction. */
  applyDue(limit: number): Promise<DueChecks>;
}

export interface DueChecks {
  /** The events of each deployment that was checked. */
  readonly results: ReadonlyMap<string, readonly CanaryEvent[]>;
  /** How many were found. If it is as many as were asked for, more may be due. */
  readonly found: number;
  /** Some of them could not be checked together: each must be claimed, and fails or waits alone. */
  readonly left: boolean;
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
  return {
    apply: (claim, fetched) => apply({ claim, fetched }),
    applyDue: (limit) => applyDue(app, limit),
  };
}

/** Finds, locks and checks in one transaction: no claim is written, and a node that dies leaves nothing behind. */
async function applyDue(app: App, limit: number): Promise<DueChecks> {
  let found = 0;
  try {
    return await transaction(app, async (tx) => {
      const ids = await lockDue(tx, limit);
      found = ids.length;
      if (found === 0) return { results: new Map(), found, left: false };
      const [{ free, skipped }, due] = await Promise.all([lockFreeDeployments(tx, ids), stillDue(tx, ids)]);
      const views = [...free.values()].filter(({ state }) => due.has(state.id));
      const unit = createUnitOfWork();
      const results = await allDone(
        views.map(async (view) => [view.state.id, await stageCheck(app, tx, unit, view, null)] as const),
      );
      await flush(tx, unit);
      // What another holds is in its hands; what cannot be read is left.
      return { results: new Map(results), found, left: [...skipped].some((id) => due.has(id)) };
    });
  } catch (error) {
    batchFailed(app, 'checks', found, error);
    return { results: new Map(), found, left: true };
  }
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
        return [check, stands ? await stageCheck(app, tx, unit, view, check.fetched) : null];
      }),
    );
    await flush(tx, unit);
    return new Map(results);
  });
}

/**
 * Decides a check on a locked deployment, and stages what follows.
 * @param fetched the results of the provider; null if bots report
 */
async function stageCheck(
  app: App,
  tx: LogWriteTransaction,
  unit: UnitOfWork,
  before: DeploymentView,
  fetched: BySide<FetchResult> | null,
): Promise<readonly CanaryEvent[]> {
  const { id } = before.state;
  const present = await stagePresentRule(tx, unit, before);
  const applied = fetched ? await saveFetched(tx, present, fetched) : NOTHING_FETCHED;
  const view = { ...present, metrics: { ...present.metrics, ...applied.metrics } };
  const { failure, resets } = applied;
  const bySignal = view.state.status === 'RUNNING' && view.state.config.evidence.pairing === 'SIGNAL';
  const signals = bySignal ? await readSignalPairs(tx, id) : undefined;
  const seen = { resets, signals };
  const outcome = await stageCommand(app, tx, unit, view, { type: 'CHECK', failure }, SERIN, seen);
  if (!outcome.accepted) throw new Error(`a check was refused: ${outcome.refusal.message}`);
  if (outcome.events.length === 0) await setNextCheck(tx, id, nextCheckAt(view.state, view.now));
  unit.samples.push(...samplesOf(view, outcome.events));
  if (bySignal) await markPaired(tx, id, outcome.events.flatMap(pairedSignals));
  return outcome.events;
}

/** What the results of a provider led to. */
interface AppliedFetch {
  /** Of the sides whose metrics were available. */
  readonly metrics: Partial<MetricsBySide>;
  readonly resets: readonly SideReset[];
  readonly failure: string | null;
}

const NOTHING_FETCHED: AppliedFetch = { metrics: {}, resets: [], failure: null };

/** Writes the results of the provider. */
async function saveFetched(
  tx: Queries,
  { state, now }: DeploymentView,
  fetched: BySide<FetchResult>,
): Promise<AppliedFetch> {
  const observation = observationOf(state);
  if (!observation) return NOTHING_FETCHED;
  const applySide = async (side: Side): Promise<FetchedSide> => {
    const answer = fetched[side];
    if (!answer.ok) return answer;
    const key = { deploymentId: state.id, side };
    const before = await readRecord(tx, key);
    const facts = {
      now,
      startedAt: observation.startedAt,
      returned: (netPnlUsd: Decimal) => sideReturn(observation.basis[side], netPnlUsd),
    };
    const taken = takeFetched(before, answer, facts);
    if (taken.ok) await saveMetrics(tx, key, taken);
    return taken;
  };
  const [canary, stable] = await allDone([applySide('CANARY'), applySide('STABLE')]);
  if (!canary || !stable) throw new Error('a side was not applied');
  const applied: BySide<FetchedSide> = { CANARY: canary, STABLE: stable };
  const metrics: { -readonly [S in Side]?: SideMetrics } = {};
  const resets: SideReset[] = [];
  for (const side of SIDES) {
    const taken = applied[side];
    if (!taken.ok) continue;
    metrics[side] = taken.metrics;
    if (taken.reset) resets.push({ side, ...taken.reset });
  }
  return { metrics, resets, failure: fetchFailure(applied) };
}

/** The sample of a check, with its point of the course: that of the state right after it. */
function samplesOf({ state, metrics }: DeploymentView, events: readonly CanaryEvent[]): TakenSample[] {
  let after = state;
  for (const event of events) {
    after = evolve(after, event);
    if (event.type !== 'CANARY_METRICS_UPDATED') continue;
    const { check, at, decision } = event;
    return [{ deploymentId: state.id, check, at, decision, metrics, point: pointOf(after, event) }];
  }
  return [];
}
