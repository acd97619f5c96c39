/**
 * What a provider answered becomes a side's figures. Counters are treated as Prometheus treats them: one that falls has
 * started again, and what it had counted is carried over.
 */
import { type Decimal, decimal, ZERO } from '../values/decimal.ts';
import { type BySide, SIDES } from '../values/side.ts';
import { COUNTERS, extendRunCurve, runOf, type SideRun, type Totals, totalsOf } from './run.ts';
import type { MetricsReport, SideMetrics } from './sideMetrics.ts';
import { type CounterReset, type ReportFacts, type SideRecord, valueViolations } from './takeReport.ts';

/** The metrics of a side, checked against the bounds of a report, or why they are not available. */
export type FetchResult =
  | { readonly ok: true; readonly report: MetricsReport }
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
export function takeFetched(before: SideRecord, report: MetricsReport, facts: ReportFacts): FetchedSide {
  const { metrics: known } = before;
  const opened = runOf(known, before.run);
  if (known?.asOf !== undefined && report.asOf !== undefined && report.asOf < known.asOf) {
    return { ok: true, metrics: known, run: opened, reset: null };
  }
  const restarted = restartedRun(before, opened, report);
  const run = restarted ?? opened;
  const { carried } = run;
  const { unrealizedPnlUsd } = report;
  const realized = carried.pnlUsd.plus(report.pnlUsd ?? ZERO);
  const netPnlUsd = realized.plus(unrealizedPnlUsd ?? ZERO);
  const totals: Totals = {
    pnlUsd: realized,
    totalPnlUsd: carried.totalPnlUsd.plus(report.totalPnlUsd ?? ZERO),
    totalGasUsd: carried.totalGasUsd.plus(report.totalGasUsd ?? ZERO),
    trades: carried.trades + (report.trades ?? 0),
    errors: carried.errors + (report.errors ?? 0),
    uptimeSeconds: carried.uptimeSeconds + (report.uptimeSeconds ?? 0),
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

/** The next run where a counter has fallen; null where none has. */
function restartedRun(before: SideRecord, run: SideRun, report: MetricsReport): SideRun | null {
  const { metrics } = before;
  if (!metrics) return null;
  const totals = totalsOf(metrics);
  const fallen = COUNTERS.filter((name) => {
    const given = report[name];
    return given !== undefined && decimal(totals[name]).minus(run.carried[name]).gt(given);
  });
  if (fallen.length === 0) return null;
  const has = (name: keyof Totals) => fallen.some((each) => each === name);
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
