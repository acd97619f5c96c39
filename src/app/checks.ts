/** One check of a claimed deployment: what a provider answered is applied, and the engine looks and decides. */
import { type BySide, SIDES } from '../core/capital.ts';
import { nextCheckAt } from '../core/deployment.ts';
import type { CanaryEvent } from '../core/events.ts';
import { applyReport, type MetricsBySide } from '../core/metrics.ts';
import type { Fetched } from '../providers/provider.ts';
import { type Claim, holdsClaim, releaseClaim } from '../store/claims.ts';
import type { Queries } from '../store/database.ts';
import { type DeploymentView, lockDeployment } from '../store/deployments.ts';
import { saveMetrics } from '../store/metrics.ts';
import { insertSamples } from '../store/samples.ts';
import { transaction } from './answer.ts';
import { type App, SERIN } from './app.ts';
import { carryOut } from './deployments.ts';

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
    const looked = fetched ? await withFetched(tx, view, fetched) : view;
    const failure = fetched ? failureOf(fetched) : null;
    const outcome = await carryOut(tx, looked, { type: 'CHECK', failure }, SERIN);
    if (!outcome.accepted) throw new Error(`a check was refused: ${outcome.refusal.message}`);
    if (outcome.events.length === 0) await releaseClaim(tx, claim, nextCheckAt(view.state, view.now));
    await keepSample(tx, looked, outcome.events);
    return outcome.events;
  });
  if (events && events.length > 0) app.doorbell.ring();
  return events;
}

async function withFetched(
  tx: Queries,
  view: DeploymentView,
  fetched: BySide<Fetched>,
): Promise<DeploymentView> {
  let metrics: MetricsBySide = view.metrics;
  for (const side of SIDES) {
    const answer = fetched[side];
    if (!answer.ok) continue;
    // What a provider answered is the whole truth: a figure it no longer has is gone.
    const answered = applyReport(null, answer.report, view.now);
    await saveMetrics(tx, view.state.id, side, answered);
    metrics = { ...metrics, [side]: answered };
  }
  return { ...view, metrics };
}

function failureOf(fetched: BySide<Fetched>): string | null {
  const failures = SIDES.flatMap((side) => {
    const answer = fetched[side];
    return answer.ok ? [] : [`${side.toLowerCase()} side: ${answer.message}`];
  });
  return failures.length > 0 ? failures.join('; ') : null;
}

async function keepSample(tx: Queries, view: DeploymentView, events: readonly CanaryEvent[]): Promise<void> {
  const sampled = events.find((event) => event.type === 'CANARY_METRICS_UPDATED');
  if (sampled?.type !== 'CANARY_METRICS_UPDATED') return;
  const { check, at, decision } = sampled;
  await insertSamples(tx, view.state.id, [{ check, at, decision, metrics: view.metrics }]);
}
