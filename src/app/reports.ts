/**
 * Metrics reports: they change the side's latest figures, apart from the lifecycle row. Concurrent reports are written in
 * one statement and answered after its commit. A report that changes what the guardrails have counted, or that begins a
 * further run, is applied under the deployment's lock, in the transaction that decides on it.
 */
import { canSee } from '../access/actor.ts';
import { GUARDRAILS } from '../core/config/config.ts';
import type { SideReset } from '../core/lifecycle/command.ts';
import { notWatched } from '../core/lifecycle/decide.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { canaryFigures, type DeploymentState, isWatched, sideReturn } from '../core/lifecycle/state.ts';
import { reportViolations } from '../core/metrics/sideMetrics.ts';
import { type SideRecord, takeReport } from '../core/metrics/takeReport.ts';
import { checkMetricLimits } from '../core/rule/guardrails.ts';
import type { Decimal } from '../core/values/decimal.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import type { Side } from '../core/values/side.ts';
import { findDeployments, findStrategyOf, lockDeployment } from '../store/deployments/deployments.ts';
import {
  type ChangedSide,
  lockSides,
  type Reporter,
  type SideKey,
  type SideReport,
  type StoredSide,
  writeSides,
} from '../store/deployments/sideMetrics.ts';
import { ConcurrentChange } from '../store/postgres/concurrentChange.ts';
import type { Queries } from '../store/postgres/database.ts';
import { notFound, sideRefusal } from './answer.ts';
import { type Actor, type App, SERIN } from './context.ts';
import { createBatcher } from './execution/batcher.ts';
import { transaction, transactionInOrder } from './execution/transaction.ts';
import { applyCommand } from './stageCommand.ts';

export interface ReportAnswer {
  /** Null: the report is on disk, or stale. */
  readonly refusal: Refusal | null;
  /** A newer report had come before: nothing has changed. */
  readonly stale: boolean;
  /** Serin's time when the report was applied, epoch milliseconds; null where none was read. */
  readonly now: SerinInstant | null;
  /** How long the lease of the canary's capital lasts from then on, seconds; null where the report prolongs none. */
  readonly leaseSeconds: number | null;
}

/** Maximum number of reports in one transaction. */
const MAX_BATCH_SIZE = 500;
const MAX_REMEMBERED = 10_000;

export interface Reports {
  /** Applies a report of an actor; the answer comes after its commit. */
  take(actor: Actor, report: SideReport): Promise<ReportAnswer>;
}

/** The one writer of reports in this process: while one batch is written, the next gathers. */
export function createReports(app: App): Reports {
  const write = createBatcher({
    maxBatchSize: MAX_BATCH_SIZE,
    maxConcurrentBatches: 1,
    async run(reports: readonly OwnedReport[]) {
      const answers = await applyReports(app, groupBySide(reports));
      return async (report) =>
        (await answers.get(keyOf(report)))?.get(report) ?? refused(notFound(report.deploymentId));
    },
  });
  const strategyOf = rememberStrategies(app);

  /** Whether the actor may see the deployment. For an actor who may see all, the write tells whether it exists. */
  async function isThere(actor: Actor, deploymentId: string): Promise<boolean> {
    if (actor.strategies === null) return true;
    const strategyId = await strategyOf(deploymentId);
    return strategyId !== null && canSee(actor, strategyId);
  }

  return {
    async take(actor, report) {
      if (!(await isThere(actor, report.deploymentId))) return refused(notFound(report.deploymentId));
      const notOurs = sideRefusal(actor, report.side);
      if (notOurs) return refused(notOurs);
      const violations = reportViolations(report.report);
      if (violations.length > 0) return refused(invalidInput(violations));
      return write({ ...report, reporter: reporterOf(actor) });
    },
  };
}

/**
 * A deployment never changes its strategy, so that reports need not look it up again. Those that come while it is looked up
 * wait for the same answer: each on a connection of its own, they would go on in another order than they came in.
 */
export function rememberStrategies({ db }: App): (deploymentId: string) => Promise<string | null> {
  const known = new Map<string, string>();
  const asked = new Map<string, Promise<string | null>>();

  async function ask(deploymentId: string): Promise<string | null> {
    try {
      const strategyId = await findStrategyOf(db, deploymentId);
      if (strategyId === null) return null;
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(deploymentId, strategyId);
      return strategyId;
    } finally {
      asked.delete(deploymentId);
    }
  }

  return async (deploymentId) => {
    const remembered = known.get(deploymentId);
    if (remembered !== undefined) return remembered;
    const answer = asked.get(deploymentId) ?? ask(deploymentId);
    asked.set(deploymentId, answer);
    return answer;
  };
}

const keyOf = ({ deploymentId, side }: { deploymentId: string; side: Side }) => `${side} ${deploymentId}`;

/** A report with who sent it. */
interface OwnedReport extends SideReport {
  readonly reporter: Reporter;
}

/** Who an actor is, where it reports figures. */
export const reporterOf = ({ name, subject, credential }: Actor): Reporter => ({
  name,
  subject: credential.type === 'NONE' ? null : subject,
});

/** The reports of one side, in the order in which they came. */
interface SideReports extends SideKey {
  readonly reports: readonly OwnedReport[];
}
type Answers = ReadonlyMap<SideReport, ReportAnswer>;

function groupBySide(reports: readonly OwnedReport[]): SideReports[] {
  const groups = new Map<string, OwnedReport[]>();
  for (const report of reports) {
    const group = groups.get(keyOf(report));
    if (group) group.push(report);
    else groups.set(keyOf(report), [report]);
  }
  return [...groups.values()].flatMap((group): SideReports[] => {
    const [first] = group;
    return first ? [{ deploymentId: first.deploymentId, side: first.side, reports: group }] : [];
  });
}

const refused = (no: Refusal, now: SerinInstant | null = null): ReportAnswer => ({
  refusal: no,
  stale: false,
  now,
  leaseSeconds: null,
});

async function applyReports(
  app: App,
  groups: readonly SideReports[],
): Promise<ReadonlyMap<string, Answers | Promise<Answers>>> {
  const { applied, careful } = await transaction(app, async (tx) => {
    const known = new Map((await lockSides(tx, groups)).map((side) => [keyOf(side), side]));
    const sides = groups.flatMap((group): AppliedSide[] => {
      const side = known.get(keyOf(group));
      return side ? [applyInOrder(side, group.reports)] : [];
    });
    const plain = sides.filter(({ needsLock }) => !needsLock);
    await write(tx, plain);
    const careful = sides.filter(({ needsLock }) => needsLock);
    return { applied: plain, careful: new Set(careful.map(({ side }) => keyOf(side))) };
  });
  const rest = groups.filter((group) => !careful.has(keyOf(group)));
  const answers = new Map<string, Answers | Promise<Answers>>(await answersFor(app, rest, applied));
  // Not awaited here: a locked deployment must not delay the reports of others.
  for (const group of groups) {
    if (careful.has(keyOf(group))) answers.set(keyOf(group), applyUnderLock(app, group));
  }
  return answers;
}

/** A side with its reports applied to it, not written yet. */
interface AppliedSide {
  readonly side: StoredSide;
  readonly record: SideRecord;
  /** Whose report was applied last; null where none was. */
  readonly reporter: Reporter | null;
  readonly resets: readonly SideReset[];
  /** Whether a report changes what the guardrails have counted, or begins a further run: rare, and decided under the lock. */
  readonly needsLock: boolean;
  readonly answers: Answers;
}

function applyInOrder(side: StoredSide, reports: readonly OwnedReport[]): AppliedSide {
  const { now, startedAt, basis } = side;
  const facts = { now, startedAt, returned: (netPnlUsd: Decimal) => sideReturn(basis, netPnlUsd) };
  let record = side.record;
  let reporter: Reporter | null = null;
  let isCounted = false;
  const resets: SideReset[] = [];
  const answers = new Map<SideReport, ReportAnswer>();
  for (const each of reports) {
    const taken = takeReport(record, each.report, facts);
    const kept = taken.type === 'TAKEN' ? taken : taken.type === 'REFUSED' ? taken.record : undefined;
    if (kept) {
      record = kept;
      reporter = each.reporter;
      // Each report, not only the last of them: a limit that was broken in between was broken.
      isCounted ||= changesCounts(side, kept);
    }
    if (taken.type === 'TAKEN') {
      if (taken.reset) resets.push({ side: side.side, ...taken.reset });
    }
    // Figures of the same instant again are no news, and prolong nothing.
    const isNews = taken.type === 'TAKEN' && taken.metrics?.reportedAt === now;
    answers.set(each, {
      refusal: taken.type === 'REFUSED' ? taken.refusal : null,
      stale: taken.type === 'STALE',
      now,
      leaseSeconds: isNews && side.side === 'CANARY' ? side.config.capitalLeaseSeconds : null,
    });
  }
  return { side, record, reporter, resets, needsLock: isCounted || resets.length > 0, answers };
}

async function write(tx: Queries, sides: readonly AppliedSide[]): Promise<void> {
  const rows = sides.flatMap(({ side, record, reporter }): ChangedSide[] => {
    const { deploymentId, version } = side;
    const { metrics, run } = record;
    return reporter && metrics ? [{ deploymentId, side: side.side, metrics, run, version, reporter }] : [];
  });
  if (rows.length === 0) return;
  const written = await writeSides(tx, rows);
  // Ended, or first reported elsewhere, since it was read: read again.
  if (written.length < rows.length) throw new ConcurrentChange('a side was written, or its deployment ended');
}

/** Whether the guardrails would count other breaches with these figures of a side. */
function changesCounts({ side, config, basis, breaches }: StoredSide, { metrics }: SideRecord): boolean {
  if (side !== 'CANARY' || !metrics) return false;
  const { counts, tripped } = checkMetricLimits(config, canaryFigures(basis, metrics), breaches);
  return tripped !== null || GUARDRAILS.some((name) => counts[name] !== breaches[name]);
}

/** Applies the reports of a side under the deployment's lock; the guardrails decide in the same transaction. */
async function applyUnderLock(app: App, { deploymentId, reports }: SideReports): Promise<Answers> {
  let events: CanaryEvent[] = [];
  const applied = await transactionInOrder(app, deploymentId, async (tx): Promise<Answers> => {
    const answers = new Map<SideReport, ReportAnswer>();
    events = [];
    let view = await lockDeployment(tx, deploymentId);
    for (const report of reports) {
      if (!view) {
        answers.set(report, refused(notFound(deploymentId)));
        continue;
      }
      const [stored] = isWatched(view.state) ? await lockSides(tx, [report]) : [];
      if (!stored) {
        answers.set(report, refused(takesNoTotals(view.state, report.side), view.now));
        continue;
      }
      const applied = applyInOrder(stored, [report]);
      await write(tx, [applied]);
      for (const [key, answer] of applied.answers) answers.set(key, answer);
      if (!applied.reporter) continue;
      const metrics = { ...view.metrics, [report.side]: applied.record.metrics };
      const reporters = { ...view.reporters, [report.side]: applied.reporter };
      const now = Math.max(view.now, applied.record.metrics?.reportedAt ?? 0);
      const command = { type: 'EVALUATE_GUARDRAILS', again: report.side === 'STABLE' } as const;
      const outcome = await applyCommand(app, tx, { ...view, metrics, reporters, now }, command, SERIN, {
        resets: applied.resets,
      });
      if (!outcome.accepted) throw new Error(`the guardrails were refused: ${outcome.refusal.message}`);
      view = outcome.view;
      events.push(...outcome.events);
    }
    return answers;
  });
  app.onEvents(events);
  return applied;
}

async function answersFor(
  app: App,
  groups: readonly SideReports[],
  applied: readonly AppliedSide[],
): Promise<ReadonlyMap<string, Answers>> {
  const answers = new Map(applied.map(({ side, answers: of }) => [keyOf(side), of]));
  const missing = groups.filter((group) => !answers.has(keyOf(group)));
  if (missing.length === 0) return answers;
  const found = await findDeployments(
    app.db,
    missing.map(({ deploymentId }) => deploymentId),
  );
  for (const group of missing) {
    const view = found.find(({ state }) => state.id === group.deploymentId);
    const no = view ? takesNoTotals(view.state, group.side) : notFound(group.deploymentId);
    answers.set(keyOf(group), new Map(group.reports.map((each) => [each, refused(no, view?.now)])));
  }
  return answers;
}

/** Why a side takes no reports of totals. */
function takesNoTotals(state: DeploymentState, side: Side): Refusal {
  const elsewhere = takesNoMetrics(state);
  if (elsewhere) return elsewhere;
  const message = `The ${side.toLowerCase()} side of ${state.id} is measured by its trades: send them with recordTrades`;
  return refusal('INVALID_INPUT', message, ['deploymentId']);
}

/** Why bots cannot report to this deployment: it is not watched, or it has a provider. Null when they can. */
export function takesNoMetrics(state: DeploymentState): Refusal | null {
  if (!isWatched(state)) return notWatched(state);
  const { id, config } = state;
  if (config.metricsProvider === null) return null;
  const message = `Deployment ${id} has its metrics from the provider ${config.metricsProvider}: bots do not report them`;
  return refusal('INVALID_INPUT', message, ['deploymentId']);
}
