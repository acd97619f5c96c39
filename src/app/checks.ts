/** One check of a claimed deployment: what a provider answered is applied, and the engine looks and decides. */
import { type BySide, SIDES } from '../core/capital.ts';
import { nextCheckAt } from '../core/deployment.ts';
import type { CanaryEvent } from '../core/events.ts';
import { type Fetched, fetchFailure, withFetched } from '../core/fetched.ts';
import { type Claim, holdsClaim, releaseClaim } from '../store/claims.ts';
import type { Queries } from '../store/database.ts';
import { type DeploymentView, lockDeployment } from '../store/deployments.ts';
import { saveMetrics } from '../store/metrics.ts';
import { insertSamples } from '../store/samples.ts';
import { type App, SERIN } from './app.ts';
import { carryOut } from './deployments.ts';
import { transaction } from './transaction.ts';

/** The events of a check; null when the claim was lost meanwhile and nothing was written. */
export type CheckResult = readonly CanaryEvent[] | null;

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
  const events = await transaction(app, async (tx): Promise<CheckResult> => {
    const view = await lockDeployment(tx, claim.deploymentId);
    if (!view || !(await holdsClaim(tx, claim))) return null;
    const looked = fetched ? await takeFetched(tx, view, fetched) : view;
    const failure = fetched ? fetchFailure(fetched) : null;
    const outcome = await carryOut(tx, looked, { type: 'CHECK', failure }, SERIN);
    if (!outcome.accepted) throw new Error(`a check was refused: ${outcome.refusal.message}`);
    if (outcome.events.length === 0) await releaseClaim(tx, claim, nextCheckAt(view.state, view.now));
    await keepSample(tx, looked, outcome.events);
    return outcome.events;
  });
  if (events && events.length > 0) app.doorbell.ring();
  return events;
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

async function keepSample(tx: Queries, view: DeploymentView, events: readonly CanaryEvent[]): Promise<void> {
  const sampled = events.find((event) => event.type === 'CANARY_METRICS_UPDATED');
  if (sampled?.type !== 'CANARY_METRICS_UPDATED') return;
  const { check, at, decision } = sampled;
  await insertSamples(tx, view.state.id, [{ check, at, decision, metrics: view.metrics }]);
}
