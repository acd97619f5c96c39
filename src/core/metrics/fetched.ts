/**
 * What a provider answered becomes a side's figures. Counters are treated as Prometheus treats them: one that falls has
 * started again, and what it had counted is carried over. One that is estimated must fall by more than half, and keeps its
 * value otherwise: `increase` of Prometheus extrapolates, and gives less and less while nothing happens.
 */
import { type Decimal, decimal, ZERO } from '../values/decimal.ts';
import { type BySide, SIDES } from '../values/side.ts';
import {
  COUNTERS,
  type Counter,
  extendRunCurve,
  hasRestarted,
  runOf,
  type SideRun,
  type Totals,
  totalsOf,
} from './run.ts';
import type { MetricsReport, SideMetrics } from './sideMetrics.ts';
import { type CounterReset, type ReportFacts, type SideRecord, valueViolations } from './takeReport.ts';

/** The metrics of a side, checked against the bounds of a report. */
export interface FetchedReport {
  readonly ok: true;
  readonly report: MetricsReport;
  /** Counters that are estimated, and may fall a little while nothing happens; none if absent. */
  readonly estimated?: readonly Counter[] | undefined;
}

/** What was fetched of a side, or why it is not available. */
export type FetchResult =
  | FetchedReport
  /** Words for an operator, without secrets: what was asked for and what was wrong. */
  | {
      readonly ok: false;
      readonly message: string;
      /** What the provider said, for the log only: it may tell of what is inside. */
      readonly words?: string | undefined;
    };

/** A side after a fetch. */
export type FetchedSide =
  | {
      readonly ok: true;
      readonly metrics: SideMetrics;
      readonly run: SideRun;
      readonly reset: CounterReset | null;
    }
  | { readonly ok: false; readonly message: string };

/** Applies a fetch to a side. The answer is the whole truth: a figure that is no longer answered is gone. */
export function takeFetched(before: SideRecord, fetched: FetchedReport, facts: ReportFacts): FetchedSide {
  const { report } = fetched;
  const { metrics: known } = before;
  const opened = runOf(known, before.run);
  if (known?.asOf !== undefined && report.asOf !== undefined && report.asOf < known.asOf) {
    return { ok: true, metrics: known, run: opened, reset: null };
  }
  const restarted = restartedRun(before, opened, fetched);
  const run = restarted ?? opened;
  const { carried } = run;
  const counted = (name: Counter) => countedTotal(before, run, name, report[name]);
  const { unrealizedPnlUsd } = report;
  const realized = carried.pnlUsd.plus(report.pnlUsd ?? ZERO);
  const netPnlUsd = realized.plus(unrealizedPnlUsd ?? ZERO);
  const totals: Totals = {
    pnlUsd: realized,
    totalPnlUsd: carried.totalPnlUsd.plus(report.totalPnlUsd ?? ZERO),
    totalGasUsd: counted('totalGasUsd'),
    trades: counted('trades').toNumber(),
    errors: counted('errors').toNumber(),
    uptimeSeconds: counted('uptimeSeconds').toNumber(),
  };
  const [wrong] = valueViolations({ ...totals, pnlUsd: netPnlUsd }, report, facts);
  if (wrong) return { ok: false, message: `${wrong.path.join('.')} ${wrong.message}` };

  const curve = extendRunCurve(run.curve, facts.returned(netPnlUsd));
  const reportedDrawdown = larger(run.reportedDrawdown, report.drawdown ?? ZERO);
  const own = run.runs > 1 || unrealizedPnlUsd !== undefined;
  const figures = {
    netPnlUsd,
    totalPnlUsd: totals.totalPnlUsd,
    maxDrawdown: own ? larger(curve.maxDrawdown, reportedDrawdown) : (report.drawdown ?? ZERO),
    sharpeRatio: report.sharpeRatio ?? null,
    winRate: report.winRate ?? null,
    trades: totals.trades,
    errors: totals.errors,
    totalGasUsd: totals.totalGasUsd,
    avgTradeSizeUsd: report.avgTradeSizeUsd ?? ZERO,
    uptimeSeconds: totals.uptimeSeconds,
    ...(unrealizedPnlUsd === undefined ? {} : { unrealizedPnlUsd }),
  };
  // Of figures that say their time, only newer ones are news.
  const noNews = report.asOf !== undefined && report.asOf === known?.asOf;
  return {
    ok: true,
    metrics: {
      ...figures,
      reportedAt: noNews ? known.reportedAt : facts.now,
      ...(report.asOf === undefined ? {} : { asOf: report.asOf }),
    },
    run: { ...run, reportedDrawdown, curve },
    reset: restarted && { session: null, previousSession: null, carried },
  };
}

/** The total of a counter, which never falls within a run. One that is no longer answered is gone. */
function countedTotal(
  { metrics }: SideRecord,
  { carried }: SideRun,
  name: Counter,
  given: Decimal | number | undefined,
): Decimal {
  const total = decimal(carried[name]).plus(given ?? ZERO);
  return given === undefined || metrics === null ? total : larger(total, decimal(metrics[name]));
}

/** The next run where a counter has started again; null where none has. */
function restartedRun(
  { metrics }: SideRecord,
  run: SideRun,
  { report, estimated = [] }: FetchedReport,
): SideRun | null {
  if (!metrics) return null;
  const totals = totalsOf(metrics);
  const own = (name: Counter) => decimal(totals[name]).minus(run.carried[name]);
  const fallen = COUNTERS.flatMap((name) => {
    const given = report[name];
    return given !== undefined && own(name).gt(given) ? [{ name, given: decimal(given) }] : [];
  });
  // One that has started again shows what happened to the others that fell.
  const isSure = fallen.some(
    ({ name, given }) => !estimated.includes(name) || hasRestarted(own(name), given),
  );
  if (!isSure) return null;
  const has = (name: keyof Totals) => fallen.some((each) => each.name === name);
  // PnL may fall without a restart. It restarts with the process, which shows in the counters of the process.
  const process = has('trades') || has('uptimeSeconds');
  return {
    ...run,
    runs: run.runs + 1,
    carried: {
      pnlUsd: process ? totals.pnlUsd : run.carried.pnlUsd,
      totalPnlUsd: process ? totals.totalPnlUsd : run.carried.totalPnlUsd,
      totalGasUsd: has('totalGasUsd') ? totals.totalGasUsd : run.carried.totalGasUsd,
      trades: has('trades') ? totals.trades : run.carried.trades,
      errors: has('errors') ? totals.errors : run.carried.errors,
      uptimeSeconds: has('uptimeSeconds') ? totals.uptimeSeconds : run.carried.uptimeSeconds,
    },
  };
}

const larger = (one: Decimal, other: Decimal) => (one.gt(other) ? one : other);

/** Why metrics are not available, side by side; null when they are. */
export function fetchFailure(
  fetched: BySide<{ readonly ok: true } | { readonly ok: false; readonly message: string }>,
): string | null {
  const failures = SIDES.flatMap((side) => {
    const answer = fetched[side];
    return answer.ok ? [] : [`${side.toLowerCase()} side: ${answer.message}`];
  });
  return failures.length > 0 ? failures.join('; ') : null;
}
