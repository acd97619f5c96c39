import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { nextCheckAt } from '../core/lifecycle/state.ts';
import { type Fetched, fetchFailure, withFetched } from '../core/metrics/fetched.ts';
import { type BySide, SIDES } from '../core/values/side.ts';
import {
  type DeploymentView,
  lockDeployment,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { type Claim, releaseClaim, standingClaims } from '../store/deployments/leases.ts';
import { saveMetrics } from '../store/deployments/sideMetrics.ts';
import { nothingYet, type Writes, write } from '../store/deployments/unitOfWork.ts';
import type { TakenSample } from '../store/log/samples.ts';
import type { Queries } from '../store/postgres/database.ts';
import { carryOutInto } from './applyCommand.ts';
import { type App, SERIN } from './context.ts';
import { together } from './execution/batcher.ts';
import { allDone, transaction } from './execution/transaction.ts';

/** The events of a check; null when the claim was lost meanwhile and nothing was written. */
export type CheckResult = readonly CanaryEvent[] | null;

/** What one check goes on. */
interface Look {
  readonly claim: Claim;
  /** What the provider answered, or null when the bots report. */
  readonly fetched: BySide<Fetched> | null;
}

/** As many as the loop claims at once. */
const TOGETHER = 64;
/** One decides while the other is flushed to the disk. */
const GROUPS = 2;

export interface Checks {
  /** The same as {@link applyCheck}, perhaps together with others. */
  apply(claim: Claim, fetched: BySide<Fetched> | null): Promise<CheckResult>;
}

/**
 * Checks that are ready at the same time share a transaction; one whose deployment somebody is at, and any of a
 * transaction that fails, has one of its own, so that no deployment waits for another.
 */
export function createChecks(app: App): Checks {
  const apply = together({
    most: TOGETHER,
    groups: GROUPS,
    async run(looks: readonly Look[]) {
      const results = await applyTogether(app, looks).catch(() => null);
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
  fetched: BySide<Fetched> | null,
): Promise<CheckResult> {
  const look = { claim, fetched };
  const { deploymentId } = claim;
  const results = await app.turns(deploymentId, () =>
    applyLocked(app, [look], async (tx) => {
      const view = await lockDeployment(tx, deploymentId);
      return new Map(view && [[deploymentId, view]]);
    }),
  );
  return results.get(look) ?? null;
}

/** Applies checks in one transaction, except on deployments that somebody else is at: those have no result. */
function applyTogether(app: App, looks: readonly Look[]): Promise<ReadonlyMap<Look, CheckResult>> {
  const ids = looks.map(({ claim }) => claim.deploymentId);
  return applyLocked(app, looks, async (tx) => (await lockFreeDeployments(tx, ids)).free);
}

/** @param lock locks deployments and answers them as they stand */
async function applyLocked(
  app: App,
  looks: readonly Look[],
  lock: (tx: Queries) => Promise<ReadonlyMap<string, DeploymentView>>,
): Promise<ReadonlyMap<Look, CheckResult>> {
  return transaction(app, async (tx) => {
    const claims = looks.map(({ claim }) => claim);
    const [views, standing] = await Promise.all([lock(tx), standingClaims(tx, claims)]);
    const writes = nothingYet();
    const applied = looks.flatMap((each) => {
      const view = views.get(each.claim.deploymentId);
      return view ? [{ each, view }] : [];
    });
    const results = await allDone(
      applied.map(async ({ each, view }): Promise<[Look, CheckResult]> => {
        const stands = standing.has(each.claim.deploymentId);
        return [each, stands ? await look(tx, writes, view, each) : null];
      }),
    );
    await write(tx, writes);
    return new Map(results);
  });
}

/** One check, on a locked deployment whose claim stands. What follows is left to be written. */
async function look(
  tx: Queries,
  writes: Writes,
  view: DeploymentView,
  { claim, fetched }: Look,
): Promise<readonly CanaryEvent[]> {
  const looked = fetched ? await takeFetched(tx, view, fetched) : view;
  const failure = fetched ? fetchFailure(fetched) : null;
  const outcome = await carryOutInto(writes, tx, looked, { type: 'CHECK', failure }, SERIN);
  if (!outcome.accepted) throw new Error(`a check was refused: ${outcome.refusal.message}`);
  if (outcome.events.length === 0) await releaseClaim(tx, claim, nextCheckAt(view.state, view.now));
  writes.samples.push(...samplesOf(looked, outcome.events));
  return outcome.events;
}

/** Writes what was answered and looks at the deployment with it. */
async function takeFetched(
  tx: Queries,
  view: DeploymentView,
  fetched: BySide<Fetched>,
): Promise<DeploymentView> {
  const metrics = withFetched(view.metrics, fetched, view.now);
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
