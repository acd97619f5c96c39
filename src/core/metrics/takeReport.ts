/**
 * What a report does to a side: it is taken, it is stale and changes nothing, or it is refused. Pure; the server and the
 * embedded class share it, so that both count a restarted bot in the same way.
 */
import { type Decimal, decimal, formatDecimal, MAX_INTEGER_DIGITS, ZERO } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import { type Refusal, refusal } from '../values/refusal.ts';
import type { Violation } from '../values/violation.ts';
import {
  type Base,
  COUNTERS,
  type Counter,
  closeMean,
  closeSession,
  extendRunCurve,
  hasRestarted,
  meanOf,
  runOf,
  type SideRun,
  type Totals,
  totalsOf,
  wasForgotten,
} from './run.ts';
import { MAX_COUNT, type MetricsReport, type SideMetrics } from './sideMetrics.ts';
import { CLOCK_TOLERANCE_MS } from './trade.ts';

/** A side as it is kept: its figures, and what is remembered of its runs. */
export interface SideRecord {
  readonly metrics: SideMetrics | null;
  /** Null where no report has named a session, a sequence, a base or unrealised PnL. */
  readonly run: SideRun | null;
}

/** What a report meets, apart from the side itself. */
export interface ReportFacts {
  /** Serin's time, epoch milliseconds. */
  readonly now: SerinInstant;
  /** When the deployment started, epoch milliseconds. */
  readonly startedAt: number;
  /** The side's return since the start for a net PnL, each interval on its own capital. */
  readonly returned: (netPnlUsd: Decimal) => Decimal;
}

/** A run that began after another one: its totals count from zero, on top of what was carried over. */
export interface CounterReset {
  /** The session that began; null where a provider's counters fell. */
  readonly session: string | null;
  readonly previousSession: string | null;
  /** The side's totals when the earlier run ended. */
  readonly carried: Totals;
}

export type TakenReport =
  | {
      readonly type: 'TAKEN';
      readonly metrics: SideMetrics;
      readonly run: SideRun | null;
      readonly reset: CounterReset | null;
    }
  /** Older than what is known already: nothing has changed. */
  | { readonly type: 'STALE' }
  | {
      readonly type: 'REFUSED';
      readonly refusal: Refusal;
      /** The side with the mark that its counters fell; absent where nothing has changed. */
      readonly record?: SideRecord;
    };

const STALE: TakenReport = { type: 'STALE' };

/** Applies a report to a side. */
export function takeReport(before: SideRecord, report: MetricsReport, facts: ReportFacts): TakenReport {
  const known = runOf(before.metrics, before.run);
  const opens = report.session !== undefined && report.session !== known.session;
  if (opens && report.session !== undefined) {
    if (known.closed.includes(report.session)) return STALE;
    if (wasForgotten(known, report.session)) {
      const message = `session ${report.session} was closed long ago: a new run needs a name of its own`;
      return refuse('session', message);
    }
  }
  const [ahead] = timeViolations(report, facts);
  if (ahead) return refuse(ahead.path.join('.'), ahead.message);
  if (isOlder(before, report, opens)) return STALE;

  const first = opens || before.metrics === null;
  const differs = first ? null : refuseOtherBeginning(known, report);
  if (differs) return differs;
  const unpaired = refuseUnpaired(before.metrics, report);
  if (unpaired) return unpaired;

  const restarts = opens && before.metrics !== null;
  const run = first ? beginRun(before, known, report, facts) : known;
  const added = addToRun(before.metrics, run, report, restarts);
  const fallen = restarts ? null : COUNTERS.find((name) => fell(name, before.metrics, added.totals));
  if (fallen) {
    const record = isRestart(fallen, before.metrics, added.totals) ? marked(before, known, facts.now) : null;
    return { ...counterReset(fallen, before.metrics, run, report), ...(record ? { record } : {}) };
  }
  return finish(before, { ...run, ...added.run }, added, report, facts, restarts ? known.session : undefined);
}

const refuse = (field: string, message: string): TakenReport => ({
  type: 'REFUSED',
  refusal: refusal('INVALID_INPUT', `${field} ${message}`, [field]),
});

function timeViolations(report: MetricsReport, { now }: ReportFacts): Violation[] {
  return (['asOf', 'since'] as const).flatMap((field): Violation[] => {
    const at = report[field];
    if (at === undefined || at <= now + CLOCK_TOLERANCE_MS) return [];
    const [given, today] = [at, now].map((instant) => new Date(instant).toISOString());
    const message = `must not lie in the future: got ${given}, and it is ${today} on Serin's clock`;
    return [{ path: [field], message }];
  });
}

/** What is wrong with the values that a report, or a fetch, leads to. */
export function valueViolations(totals: Sized, report: MetricsReport, facts: ReportFacts): Violation[] {
  return [
    ...timeViolations(report, facts),
    ...sizeViolations(totals),
    ...drawdownViolations(totals, report, facts),
  ];
}

/** Three percent written as 3. A side that has lost all its capital and more may say so. */
function drawdownViolations(
  { pnlUsd }: Totals,
  { drawdown }: MetricsReport,
  facts: ReportFacts,
): Violation[] {
  if (!drawdown?.gt(1) || facts.returned(pnlUsd).lte(-1)) return [];
  const message = `must be a fraction of capital, got ${formatDecimal(drawdown)}: three percent is 0.03`;
  return [
    {
      path: ['drawdown'],
      message: `${message}. More than 1 is accepted from a side that has lost all its capital`,
    },
  ];
}

/** Whether a report was overtaken by a newer one. A sequence number decides where both have one. */
function isOlder({ metrics, run }: SideRecord, report: MetricsReport, opens: boolean): boolean {
  const sequence = run?.sequence ?? null;
  if (!opens && report.sequence !== undefined && sequence !== null) return report.sequence <= sequence;
  return report.asOf !== undefined && metrics?.asOf !== undefined && report.asOf < metrics.asOf;
}

function refuseOtherBeginning(run: SideRun, { since, baseline }: MetricsReport): TakenReport | null {
  const again = 'is read in the first report of a session only, and this one differs from it';
  if (since !== undefined && since !== run.since) return refuse('since', again);
  if (baseline !== undefined && baseline !== run.baseline) return refuse('baseline', again);
  return null;
}

function refuseUnpaired(before: SideMetrics | null, report: MetricsReport): TakenReport | null {
  const { pnlUsd, unrealizedPnlUsd } = report;
  const split = before?.unrealizedPnlUsd !== undefined;
  if (split && pnlUsd !== undefined && unrealizedPnlUsd === undefined) {
    const message =
      'must come with pnlUsd, since this side has reported it before: a closed position moves both';
    return refuse('unrealizedPnlUsd', message);
  }
  if (before && !split && unrealizedPnlUsd !== undefined && pnlUsd === undefined) {
    const message =
      'must come with unrealizedPnlUsd the first time: pnlUsd is the realised part from then on';
    return refuse('pnlUsd', message);
  }
  return null;
}

function beginRun(before: SideRecord, known: SideRun, report: MetricsReport, facts: ReportFacts): SideRun {
  const { session = null, since = null, baseline = false } = report;
  const anchored = baseline || (since !== null && since < facts.startedAt);
  const restarts = before.metrics !== null;
  const totals = totalsOf(before.metrics);
  // Open positions go on in the next run, except where that counts from its own first report.
  const open = anchored ? (before.metrics?.unrealizedPnlUsd ?? ZERO) : ZERO;
  return {
    ...closeSession(known),
    fellAt: undefined,
    session,
    sequence: null,
    since,
    baseline,
    base: anchored ? { totals: {} } : null,
    carried: restarts ? { ...totals, pnlUsd: totals.pnlUsd.plus(open) } : known.carried,
    means: closedMeans(known, totals.trades),
    runs: restarts ? known.runs + 1 : known.runs,
  };
}

function closedMeans({ means, carried }: SideRun, trades: number): SideRun['means'] {
  const own = trades - carried.trades;
  return {
    winRate: closeMean(means.winRate, own),
    avgTradeSizeUsd: closeMean(means.avgTradeSizeUsd, own),
  };
}

interface Added {
  readonly totals: Totals;
  readonly unrealizedPnlUsd: Decimal | undefined;
  readonly run: Pick<SideRun, 'base'>;
}

/** The side's totals with those of a report in them. */
function addToRun(before: SideMetrics | null, run: SideRun, report: MetricsReport, restarts: boolean): Added {
  const known = restarts ? run.carried : totalsOf(before);
  let base: Base | null = run.base;
  const total = (name: keyof Totals): Decimal => {
    const given = report[name];
    if (given === undefined) return decimal(known[name]);
    if (base && base.totals[name] === undefined) {
      base = { ...base, totals: { ...base.totals, [name]: decimal(given) } };
    }
    return decimal(run.carried[name])
      .plus(given)
      .minus(base?.totals[name] ?? ZERO);
  };
  const totals: Totals = {
    pnlUsd: total('pnlUsd'),
    totalPnlUsd: total('totalPnlUsd'),
    totalGasUsd: total('totalGasUsd'),
    trades: total('trades').toNumber(),
    errors: total('errors').toNumber(),
    uptimeSeconds: total('uptimeSeconds').toNumber(),
  };
  return { totals, ...openPositions(before, base, report, restarts) };
}

/** The value of open positions: a level, which a later report replaces. */
function openPositions(
  before: SideMetrics | null,
  base: Base | null,
  report: MetricsReport,
  restarts: boolean,
) {
  const { unrealizedPnlUsd: given } = report;
  if (given === undefined) {
    const kept = restarts && base ? ZERO : before?.unrealizedPnlUsd;
    return { unrealizedPnlUsd: before?.unrealizedPnlUsd && kept, run: { base } };
  }
  if (!base) return { unrealizedPnlUsd: given, run: { base } };
  const from = base.unrealizedPnlUsd ?? given;
  return { unrealizedPnlUsd: given.minus(from), run: { base: { ...base, unrealizedPnlUsd: from } } };
}

function fell(name: Counter, before: SideMetrics | null, totals: Totals): boolean {
  return before !== null && decimal(totals[name]).lt(before[name]);
}

function isRestart(name: Counter, before: SideMetrics | null, totals: Totals): boolean {
  return before !== null && hasRestarted(decimal(before[name]), decimal(totals[name]));
}

/** A side that may have restarted, with the time of the first sign of it. */
function marked({ metrics }: SideRecord, run: SideRun, now: number): SideRecord | null {
  if (!metrics || run.fellAt !== undefined) return null;
  return { metrics: { ...metrics, fellAt: now }, run: { ...run, fellAt: now } };
}

function counterReset(
  name: Counter,
  before: SideMetrics | null,
  run: SideRun,
  report: MetricsReport,
): Extract<TakenReport, { type: 'REFUSED' }> {
  const own = decimal(before?.[name] ?? 0)
    .minus(run.carried[name])
    .plus(run.base?.totals[name] ?? ZERO);
  const [from, to] = [own, decimal(report[name] ?? 0)].map(formatDecimal);
  const next =
    run.session === null
      ? 'go on from canaryMetrics, or name a session'
      : `it is still session ${run.session}: a new run needs a session of its own`;
  const message = `${name} fell from ${from} to ${to}: did the bot restart? If so, ${next}`;
  return { type: 'REFUSED', refusal: refusal('COUNTER_RESET', message, [name]) };
}

function finish(
  before: SideRecord,
  run: SideRun,
  { totals, unrealizedPnlUsd }: Added,
  report: MetricsReport,
  facts: ReportFacts,
  /** Undefined where no run was closed. */
  previousSession: string | null | undefined,
): TakenReport {
  const { metrics } = before;
  const netPnlUsd = totals.pnlUsd.plus(unrealizedPnlUsd ?? ZERO);
  const [wrong] = valueViolations({ ...totals, pnlUsd: netPnlUsd, unrealizedPnlUsd }, report, facts);
  if (wrong) return refuse(wrong.path.join('.'), wrong.message);
  const returned = facts.returned(netPnlUsd);
  const remembers =
    before.run !== null ||
    [report.session, report.sequence, report.since, report.baseline, unrealizedPnlUsd].some(isGiven);
  const curve = extendRunCurve(run.curve, returned);
  const reportedDrawdown = larger(run.reportedDrawdown, report.drawdown ?? ZERO);
  // What a run reports of itself does not cover the runs before it, nor open positions that it leaves out.
  const own = run.runs > 1 || unrealizedPnlUsd !== undefined;
  const means = {
    winRate: { ...run.means.winRate, own: report.winRate ?? run.means.winRate.own },
    avgTradeSizeUsd: {
      ...run.means.avgTradeSizeUsd,
      own: report.avgTradeSizeUsd ?? run.means.avgTradeSizeUsd.own,
    },
  };
  const ownTrades = totals.trades - run.carried.trades;
  const sameInstant = report.asOf !== undefined && report.asOf === metrics?.asOf;
  return {
    type: 'TAKEN',
    metrics: {
      netPnlUsd,
      totalPnlUsd: totals.totalPnlUsd,
      maxDrawdown: own
        ? larger(curve.maxDrawdown, reportedDrawdown)
        : (report.drawdown ?? metrics?.maxDrawdown ?? ZERO),
      sharpeRatio: report.sharpeRatio ?? metrics?.sharpeRatio ?? null,
      winRate: meanOf(means.winRate, ownTrades),
      trades: totals.trades,
      errors: totals.errors,
      totalGasUsd: totals.totalGasUsd,
      avgTradeSizeUsd: meanOf(means.avgTradeSizeUsd, ownTrades) ?? ZERO,
      uptimeSeconds: totals.uptimeSeconds,
      // The same figures again are no news of a bot that lives.
      reportedAt: sameInstant && metrics ? metrics.reportedAt : facts.now,
      ...(unrealizedPnlUsd === undefined ? {} : { unrealizedPnlUsd }),
      ...(report.asOf === undefined ? {} : { asOf: report.asOf }),
      ...(run.session === null ? {} : { session: run.session }),
      ...(run.fellAt === undefined ? {} : { fellAt: run.fellAt }),
    },
    run: remembers
      ? { ...run, sequence: report.sequence ?? run.sequence, means, reportedDrawdown, curve }
      : null,
    reset:
      previousSession === undefined ? null : { session: run.session, previousSession, carried: run.carried },
  };
}

const isGiven = (value: unknown) => value !== undefined;
const larger = (one: Decimal, other: Decimal) => (one.gt(other) ? one : other);

const LIMIT = decimal(10).pow(MAX_INTEGER_DIGITS);

/** The figures of a side that can outgrow what is stored. */
type Sized = Totals & Pick<SideMetrics, 'unrealizedPnlUsd'>;

/** Sums over runs, and differences to a base, may outgrow what one report may say. */
export function sizeViolations(totals: Sized): Violation[] {
  const counts = (['trades', 'errors', 'uptimeSeconds'] as const).filter((name) => totals[name] > MAX_COUNT);
  const amounts = (['pnlUsd', 'totalPnlUsd', 'totalGasUsd', 'unrealizedPnlUsd'] as const).filter((name) =>
    totals[name]?.abs().gte(LIMIT),
  );
  return [
    ...counts.map((name) => ({
      path: [name],
      message: `must be at most ${MAX_COUNT} in total, got ${totals[name]}`,
    })),
    ...amounts.map((name) => ({
      path: [name],
      message: `leads to a total of more than ${MAX_INTEGER_DIGITS} digits before the point`,
    })),
  ];
}
