/**
 * Metrics reports: an upsert of the side's latest figures, apart from the lifecycle row. Reports that come at the same
 * time are written together in one statement and answered after its commit; a report that breaks a guardrail is
 * written again under the deployment's lock, in the transaction that decides on it.
 */

import { canSee } from '../access/actor.ts';
import { GUARDRAILS } from '../core/config/config.ts';
import { notWatched } from '../core/lifecycle/decide.ts';
import { type DeploymentState, isWatched } from '../core/lifecycle/state.ts';
import { type MetricsReport, reportViolations } from '../core/metrics/sideMetrics.ts';
import { checkMetricLimits } from '../core/rule/guardrails.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import type { Side } from '../core/values/side.ts';
import { describeViolations } from '../core/values/violation.ts';
import { findDeployments, findStrategyOf, lockDeployment } from '../store/deployments/deployments.ts';
import { type SideReport, type TakenReport, upsertReports } from '../store/deployments/sideMetrics.ts';
import { notFound } from './answer.ts';
import { type Actor, type App, SERIN } from './context.ts';
import { createBatcher } from './execution/batcher.ts';
import { transaction, transactionInOrder } from './execution/transaction.ts';
import { applyCommand } from './stageCommand.ts';

/** Null: it is on disk. */
export type ReportAnswer = Refusal | null;

/** At most this many sides in one statement. */
const BATCH = 500;
const MAX_REMEMBERED = 10_000;

export interface Reports {
  /** Takes a report of an actor; the answer comes after its commit. */
  take(actor: Actor, report: SideReport): Promise<ReportAnswer>;
}

/** The one writer of reports in this process: while a statement runs, the next ones gather. */
export function createReports(app: App): Reports {
  const write = createBatcher({
    maxBatchSize: BATCH,
    maxConcurrentBatches: 1,
    async run(reports: readonly SideReport[]) {
      const answers = await applyReports(app, mergeBySide(reports));
      return (report) => answers.get(keyOf(report)) ?? null;
    },
  });
  const strategyOf = rememberStrategies(app);

  /** Whether the actor sees the deployment; who sees everything learns from the write whether there is one. */
  async function isThere(actor: Actor, deploymentId: string): Promise<boolean> {
    if (actor.strategies === null) return true;
    const strategyId = await strategyOf(deploymentId);
    return strategyId !== null && canSee(actor, strategyId);
  }

  return {
    async take(actor, report) {
      if (!(await isThere(actor, report.deploymentId))) return notFound(report.deploymentId);
      const violations = reportViolations(report.report);
      const [first] = violations;
      if (first) {
        return refusal('INVALID_INPUT', describeViolations(violations), first.path);
      }
      return write(report);
    },
  };
}

/** A deployment never changes its strategy: a report every few seconds need not ask for it again. */
function rememberStrategies({ db }: App): (deploymentId: string) => Promise<string | null> {
  const known = new Map<string, string>();
  return async (deploymentId) => {
    const remembered = known.get(deploymentId);
    if (remembered !== undefined) return remembered;
    const strategyId = await findStrategyOf(db, deploymentId);
    if (strategyId === null) return null;
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(deploymentId, strategyId);
    return strategyId;
  };
}

const keyOf = ({ deploymentId, side }: { deploymentId: string; side: Side }) => `${side} ${deploymentId}`;

/** Several reports of one side become one: the later names override the earlier. */
function mergeBySide(reports: readonly SideReport[]): SideReport[] {
  const merged = new Map<string, SideReport>();
  for (const report of reports) {
    const before = merged.get(keyOf(report));
    merged.set(keyOf(report), before ? { ...report, report: overlay(before.report, report.report) } : report);
  }
  return [...merged.values()];
}

function overlay(before: MetricsReport, after: MetricsReport): MetricsReport {
  const named = Object.entries(after).filter(([, value]) => value !== undefined);
  return { ...before, ...Object.fromEntries(named) };
}

/** A batch must be undone because these sides need a careful look. */
class NeedsCare extends Error {
  constructor(readonly keys: ReadonlySet<string>) {
    super('a report moves a guardrail');
  }
}

async function applyReports(
  app: App,
  reports: readonly SideReport[],
): Promise<ReadonlyMap<string, ReportAnswer | Promise<ReportAnswer>>> {
  try {
    const taken = await transaction(app, async (tx) => {
      const rows = await upsertReports(tx, reports);
      const careful = rows.filter(movesGuardrail);
      if (careful.length > 0) throw new NeedsCare(new Set(careful.map(keyOf)));
      return rows;
    });
    return answersFor(app, reports, taken);
  } catch (error) {
    if (!(error instanceof NeedsCare)) throw error;
    const plain = reports.filter((report) => !error.keys.has(keyOf(report)));
    const answers = new Map(plain.length > 0 ? await applyReports(app, plain) : []);
    // Under way, so that a deployment that somebody holds keeps no other's reports waiting.
    for (const report of reports) {
      if (error.keys.has(keyOf(report))) answers.set(keyOf(report), applyCarefully(app, report));
    }
    return answers;
  }
}

/** Whether a report changes what the guardrails have counted: rare, and worth the deployment's lock. */
function movesGuardrail({ side, metrics, config, canaryCapitalUsd, breaches }: TakenReport): boolean {
  if (side !== 'CANARY') return false;
  const { counts, tripped } = checkMetricLimits(config, metrics, canaryCapitalUsd, breaches);
  return tripped !== null || GUARDRAILS.some((name) => counts[name] !== breaches[name]);
}

/** Writes one report under the deployment's lock and lets the guardrails decide in the same transaction. */
async function applyCarefully(app: App, report: SideReport): Promise<ReportAnswer> {
  const { deploymentId } = report;
  return transactionInOrder(app, deploymentId, async (tx): Promise<ReportAnswer> => {
    const view = await lockDeployment(tx, deploymentId);
    if (!view) return notFound(deploymentId);
    const [taken] = await upsertReports(tx, [report]);
    if (!taken) return takesNoTotals(view.state, report.side);
    const metrics = { ...view.metrics, [taken.side]: taken.metrics };
    const now = Math.max(view.now, taken.metrics.reportedAt);
    await applyCommand(tx, { ...view, metrics, now }, { type: 'EVALUATE_GUARDRAILS' }, SERIN);
    return null;
  });
}

async function answersFor(
  app: App,
  reports: readonly SideReport[],
  taken: readonly TakenReport[],
): Promise<ReadonlyMap<string, ReportAnswer>> {
  const answers = new Map<string, ReportAnswer>(taken.map((row) => [keyOf(row), null]));
  const missing = reports.filter((report) => !answers.has(keyOf(report)));
  if (missing.length === 0) return answers;
  const found = await findDeployments(
    app.db,
    missing.map(({ deploymentId }) => deploymentId),
  );
  for (const report of missing) {
    const state = found.find((view) => view.state.id === report.deploymentId)?.state;
    answers.set(keyOf(report), state ? takesNoTotals(state, report.side) : notFound(report.deploymentId));
  }
  return answers;
}

/** Why a side took no report. */
function takesNoTotals(state: DeploymentState, side: Side): Refusal {
  const elsewhere = takesNoMetrics(state);
  if (elsewhere) return elsewhere;
  const message = `The ${side.toLowerCase()} side of ${state.id} is measured by its trades: send them with recordTrades`;
  return refusal('INVALID_INPUT', message, ['deploymentId']);
}

/** Why bots cannot tell this deployment anything: it is not watched, or a provider is asked. Null when they can. */
export function takesNoMetrics(state: DeploymentState): Refusal | null {
  if (!isWatched(state)) return notWatched(state);
  const { id, config } = state;
  if (config.metricsProvider === null) return null;
  const message = `Deployment ${id} has its metrics from the provider ${config.metricsProvider}: bots do not report them`;
  return refusal('INVALID_INPUT', message, ['deploymentId']);
}
