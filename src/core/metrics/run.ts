/**
 * What Serin remembers of a side's runs besides its figures. A bot or a provider counts from zero each time it restarts;
 * the side's totals go on. Total of the side = last totals of closed runs + totals of the open run, less its base.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { countCodec, decimalCodec, instantCodec } from '../values/codecs.ts';
import { type Decimal, decimal, toStoredFraction, toStoredPrecision, ZERO } from '../values/decimal.ts';
import type { SideMetrics } from './sideMetrics.ts';

/** The figures that are sums over time. Decimals are USD. */
export interface Totals {
  /** Realised net PnL: without open positions where `unrealizedPnlUsd` is reported apart. */
  readonly pnlUsd: Decimal;
  readonly totalPnlUsd: Decimal;
  readonly totalGasUsd: Decimal;
  readonly trades: number;
  readonly errors: number;
  readonly uptimeSeconds: number;
}

/** Totals that cannot fall within one run. */
export const COUNTERS = ['trades', 'errors', 'totalGasUsd', 'uptimeSeconds'] as const;
export type Counter = (typeof COUNTERS)[number];

/**
 * Whether a counter that may also be a little behind has started again: it reads less than half of what it was. A report
 * that was overtaken is behind, and a query that extrapolates gives less for a longer range.
 */
export function hasRestarted(before: Decimal, now: Decimal): boolean {
  return now.times(2).lt(before);
}

/** What the open run had counted at its first report; a total that it has not named yet is absent. */
export interface Base {
  readonly totals: { readonly [K in keyof Totals]?: Decimal | undefined };
  readonly unrealizedPnlUsd?: Decimal | undefined;
}

/** A mean over the trades of all runs. */
export interface RunMean {
  /** Mean times trades, over the closed runs that reported one. */
  readonly sum: Decimal;
  readonly trades: number;
  /** The open run's own; null until it is reported. */
  readonly own: Decimal | null;
}

export interface SideRun {
  /** The open session's name; null where the owner names none. */
  readonly session: string | null;
  /** The sequence number of the open session's latest report. */
  readonly sequence: number | null;
  /** `since` and `baseline` as the run's first report gave them. */
  readonly since: number | null;
  readonly baseline: boolean;
  /** Null: the run counts from zero. */
  readonly base: Base | null;
  /** The last totals of the closed runs, added up. */
  readonly carried: Totals;
  /** Means over trades: those of closed runs as sums, and what the open run reports of its own trades. */
  readonly means: { readonly winRate: RunMean; readonly avgTradeSizeUsd: RunMean };
  /** How many runs there have been, with the open one. */
  readonly runs: number;
  /** Names of closed sessions, the latest last, at most {@link REMEMBERED_SESSIONS}. */
  readonly closed: readonly string[];
  /** Digests of sessions that were closed before those. */
  readonly forgotten: readonly string[];
  /** The largest drawdown that any run reported, a fraction of capital. */
  readonly reportedDrawdown: Decimal;
  /**
   * When a report was refused because a counter had fallen by more than half, and no session has begun since, epoch ms.
   * Reports that are taken later may leave out what the side earned before.
   */
  readonly fellAt?: number | undefined;
  /** Serin's own curve: 1 + return on capital at each report. */
  readonly curve: { readonly peak: Decimal; readonly maxDrawdown: Decimal };
}

/** Names of closed sessions that are kept per side. */
const REMEMBERED_SESSIONS = 100;
/** Digests of earlier ones: enough to refuse a late report of a session that was closed long ago. */
const MAX_FORGOTTEN = 900;

const ONE = decimal(1);

const NO_TOTALS: Totals = {
  pnlUsd: ZERO,
  totalPnlUsd: ZERO,
  totalGasUsd: ZERO,
  trades: 0,
  errors: 0,
  uptimeSeconds: 0,
};

const NO_MEAN: RunMean = { sum: ZERO, trades: 0, own: null };

/** The first run of a side that has reported nothing yet. */
const FIRST_RUN: SideRun = {
  session: null,
  sequence: null,
  since: null,
  baseline: false,
  base: null,
  carried: NO_TOTALS,
  means: { winRate: NO_MEAN, avgTradeSizeUsd: NO_MEAN },
  runs: 1,
  closed: [],
  forgotten: [],
  reportedDrawdown: ZERO,
  curve: { peak: ONE, maxDrawdown: ZERO },
};

/** The run of a side that has reported without naming one. */
export function runOf(metrics: SideMetrics | null, run: SideRun | null): SideRun {
  if (run) return run;
  const size = metrics?.avgTradeSizeUsd ?? ZERO;
  return {
    ...FIRST_RUN,
    means: {
      winRate: { ...NO_MEAN, own: metrics?.winRate ?? null },
      avgTradeSizeUsd: { ...NO_MEAN, own: size.isZero() ? null : size },
    },
    reportedDrawdown: metrics?.maxDrawdown ?? ZERO,
  };
}

/** A mean with the open run closed. @param trades of the open run */
export function closeMean({ sum, trades: before, own }: RunMean, trades: number): RunMean {
  return own === null
    ? { sum, trades: before, own: null }
    : { sum: sum.plus(own.times(trades)), trades: before + trades, own: null };
}

/** The mean over all runs, each weighted by its trades; null where none reported one. */
export function meanOf({ sum, trades: before, own }: RunMean, trades: number): Decimal | null {
  const all = before + (own === null ? 0 : trades);
  if (all === 0) return own;
  return toStoredPrecision(sum.plus(own?.times(trades) ?? ZERO).div(all));
}

/** A side's totals as they stand. */
export function totalsOf(metrics: SideMetrics | null): Totals {
  if (!metrics) return NO_TOTALS;
  const { totalPnlUsd, totalGasUsd, trades, errors, uptimeSeconds } = metrics;
  const pnlUsd = metrics.netPnlUsd.minus(metrics.unrealizedPnlUsd ?? ZERO);
  return { pnlUsd, totalPnlUsd, totalGasUsd, trades, errors, uptimeSeconds };
}

/** The run with its open session among the closed ones. */
export function closeSession(run: SideRun): SideRun {
  if (run.session === null) return run;
  const closed = [...run.closed, run.session];
  const dropped = closed.slice(0, Math.max(0, closed.length - REMEMBERED_SESSIONS));
  return {
    ...run,
    closed: closed.slice(dropped.length),
    forgotten: [...run.forgotten, ...dropped.map(digest)].slice(-MAX_FORGOTTEN),
  };
}

export function wasForgotten(run: SideRun, session: string): boolean {
  return run.forgotten.length > 0 && run.forgotten.includes(digest(session));
}

function digest(session: string): string {
  return hash('sha256', session, 'base64url').slice(0, 8);
}

/** The curve with one more point. @param returned the side's return since the start, a fraction of capital */
export function extendRunCurve({ peak, maxDrawdown }: SideRun['curve'], returned: Decimal): SideRun['curve'] {
  const equity = ONE.plus(returned);
  if (equity.gt(peak)) return { peak: toStoredPrecision(equity), maxDrawdown };
  const fall = toStoredFraction(peak.minus(equity).div(peak));
  return { peak, maxDrawdown: fall.gt(maxDrawdown) ? fall : maxDrawdown };
}

export const totalsCodec = z.strictObject({
  pnlUsd: decimalCodec,
  totalPnlUsd: decimalCodec,
  totalGasUsd: decimalCodec,
  trades: countCodec,
  errors: countCodec,
  uptimeSeconds: countCodec,
});
const meanCodec = z.strictObject({
  sum: decimalCodec,
  trades: countCodec,
  own: decimalCodec.nullable(),
});
const baseTotal = decimalCodec.optional();

export const sideRunCodec = z.strictObject({
  session: z.string().nullable(),
  sequence: countCodec.nullable(),
  since: instantCodec.nullable(),
  baseline: z.boolean(),
  base: z
    .strictObject({
      totals: z.strictObject({
        pnlUsd: baseTotal,
        totalPnlUsd: baseTotal,
        totalGasUsd: baseTotal,
        trades: baseTotal,
        errors: baseTotal,
        uptimeSeconds: baseTotal,
      }),
      unrealizedPnlUsd: baseTotal,
    })
    .nullable(),
  carried: totalsCodec,
  means: z.strictObject({ winRate: meanCodec, avgTradeSizeUsd: meanCodec }),
  runs: countCodec,
  closed: z.array(z.string()).max(REMEMBERED_SESSIONS).readonly(),
  forgotten: z.array(z.string()).max(MAX_FORGOTTEN).readonly(),
  reportedDrawdown: decimalCodec,
  fellAt: instantCodec.optional(),
  curve: z.strictObject({ peak: decimalCodec, maxDrawdown: decimalCodec }),
}) satisfies z.ZodType<SideRun>;
