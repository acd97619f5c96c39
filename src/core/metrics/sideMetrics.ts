/** The figures of a side: what a report may say, what is kept of it, and how that is written in JSON. */
import { z } from 'zod';
import { countCodec, decimalCodec, instantCodec } from '../values/codecs.ts';
import { type Decimal, formatDecimal, ZERO } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import type { Violation } from '../values/violation.ts';

export interface SideMetrics {
  /** Profit and loss after costs, open positions included where they are reported, USD. Decisions are made on it. */
  readonly netPnlUsd: Decimal;
  /** Profit and loss before costs, USD. */
  readonly totalPnlUsd: Decimal;
  /** Largest fall from a high, as a fraction of capital: 0.05 is five percent. */
  readonly maxDrawdown: Decimal;
  readonly sharpeRatio: Decimal | null;
  /** Winning trades over all trades, 0 to 1. */
  readonly winRate: Decimal | null;
  readonly trades: number;
  readonly errors: number;
  readonly totalGasUsd: Decimal;
  readonly avgTradeSizeUsd: Decimal;
  readonly uptimeSeconds: number;
  /** When the latest news of this side arrived, epoch milliseconds. */
  readonly reportedAt: SerinInstant;
  /** The part of `netPnlUsd` that is in open positions, USD; absent where it was never reported. */
  readonly unrealizedPnlUsd?: Decimal | undefined;
  /** When the owner took the latest figures, epoch milliseconds on Serin's clock; absent where it does not say. */
  readonly asOf?: SerinInstant | undefined;
  /** The owner's name of its present run; absent where it names none. */
  readonly session?: string | undefined;
  /** When a counter fell and no session began, see `SideRun.fellAt`; absent where none did. */
  readonly fellAt?: number | undefined;
}

/** How a side is measured: by reported or fetched totals, or by its trades. A side is measured one way. */
export const METRICS_SOURCES = ['TOTALS', 'TRADES'] as const;
export type MetricsSource = (typeof METRICS_SOURCES)[number];

/** The latest metrics of both sides; `null` for a side that has not reported yet. */
export type MetricsBySide = BySide<SideMetrics | null>;

export const NO_METRICS: MetricsBySide = { CANARY: null, STABLE: null };

/** A report: what is absent stays as it was. */
export interface MetricsReport {
  readonly pnlUsd?: Decimal | undefined;
  readonly totalPnlUsd?: Decimal | undefined;
  readonly drawdown?: Decimal | undefined;
  readonly sharpeRatio?: Decimal | undefined;
  readonly winRate?: Decimal | undefined;
  readonly trades?: number | undefined;
  readonly errors?: number | undefined;
  readonly totalGasUsd?: Decimal | undefined;
  readonly avgTradeSizeUsd?: Decimal | undefined;
  readonly uptimeSeconds?: number | undefined;
  /** Profit and loss of open positions, USD. Where it is reported, `pnlUsd` is the realised part. */
  readonly unrealizedPnlUsd?: Decimal | undefined;
  /** The owner's name of its run: its totals count from zero in each. */
  readonly session?: string | undefined;
  /** Rises from report to report within a session. */
  readonly sequence?: number | undefined;
  /** When the owner took the figures, epoch milliseconds on Serin's clock. */
  readonly asOf?: SerinInstant | undefined;
  /** Since when the run's totals count, epoch milliseconds on Serin's clock. */
  readonly since?: number | undefined;
  /** The first totals of the run are its zero. */
  readonly baseline?: boolean | undefined;
}

const REPORT_FIELDS = [
  'pnlUsd',
  'totalPnlUsd',
  'drawdown',
  'sharpeRatio',
  'winRate',
  'trades',
  'errors',
  'totalGasUsd',
  'avgTradeSizeUsd',
  'uptimeSeconds',
  'unrealizedPnlUsd',
] as const satisfies readonly (keyof MetricsReport)[];

/** The largest count: a 32-bit integer, as GraphQL's Int. */
export const MAX_COUNT = 2_147_483_647;
const MAX_SESSION = 200;
/** Characters that a name may not have: control and format characters, and halves of a pair. */
const UNPRINTABLE = /\p{C}/u;

/** Checks a report's bounds; an empty list means it may be applied. */
export function reportViolations(report: MetricsReport, path: readonly string[] = []): Violation[] {
  const violations: Violation[] = [];
  const refuse = (field: keyof MetricsReport, message: string) =>
    violations.push({ path: [...path, field], message });
  if (REPORT_FIELDS.every((field) => report[field] === undefined)) {
    violations.push({ path: [...path], message: 'contains no metric: provide at least one' });
  }
  for (const field of ['drawdown', 'totalGasUsd', 'avgTradeSizeUsd'] as const) {
    const value = report[field];
    if (value?.isNegative() && !value.isZero())
      refuse(field, `must not be negative, got ${formatDecimal(value)}`);
  }
  for (const field of ['trades', 'errors', 'uptimeSeconds', 'sequence'] as const) {
    const value = report[field];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < 0) {
      refuse(field, `must be a whole number, 0 or more, got ${value}`);
    }
  }
  if (report.winRate && (report.winRate.lt(0) || report.winRate.gt(1))) {
    const given = formatDecimal(report.winRate);
    refuse('winRate', `must be between 0 and 1, got ${given}: 55 percent is 0.55`);
  }
  for (const field of ['asOf', 'since'] as const) {
    if ((report[field] ?? 0) < 0) refuse(field, 'must not be before 1970');
  }
  const misnamed = report.session === undefined ? null : sessionViolation(report.session);
  return misnamed ? [...violations, misnamed] : violations;
}

/** What is wrong with the name of a run; null if nothing is. */
export function sessionViolation(session: string): Violation | null {
  const refuse = (message: string): Violation => ({ path: ['session'], message });
  if (session.length < 1 || session.length > MAX_SESSION) {
    return refuse(`must have between 1 and ${MAX_SESSION} characters, got ${session.length}`);
  }
  return UNPRINTABLE.test(session) ? refuse('must have printable characters only') : null;
}

/** The metrics after a report. `before` is null for a side that had not reported. */
export function applyReport(
  before: SideMetrics | null,
  report: MetricsReport,
  now: SerinInstant,
): SideMetrics {
  return {
    netPnlUsd: report.pnlUsd ?? before?.netPnlUsd ?? ZERO,
    totalPnlUsd: report.totalPnlUsd ?? before?.totalPnlUsd ?? ZERO,
    maxDrawdown: report.drawdown ?? before?.maxDrawdown ?? ZERO,
    sharpeRatio: report.sharpeRatio ?? before?.sharpeRatio ?? null,
    winRate: report.winRate ?? before?.winRate ?? null,
    trades: report.trades ?? before?.trades ?? 0,
    errors: report.errors ?? before?.errors ?? 0,
    totalGasUsd: report.totalGasUsd ?? before?.totalGasUsd ?? ZERO,
    avgTradeSizeUsd: report.avgTradeSizeUsd ?? before?.avgTradeSizeUsd ?? ZERO,
    uptimeSeconds: report.uptimeSeconds ?? before?.uptimeSeconds ?? 0,
    reportedAt: now,
  };
}

/** The same, for one side of a pair. */
export function withReport(
  metrics: MetricsBySide,
  side: Side,
  report: MetricsReport,
  now: SerinInstant,
): MetricsBySide {
  return { ...metrics, [side]: applyReport(metrics[side], report, now) };
}

/** Errors over trades; `null` when there are errors and no trade, 0 when there is neither. */
export function errorRate(metrics: SideMetrics): Decimal | null {
  if (metrics.trades > 0) return ZERO.plus(metrics.errors).div(metrics.trades);
  return metrics.errors === 0 ? ZERO : null;
}

/** Names of the figures that are not finite numbers. */
export function nonFiniteFigures({ session: _name, ...figures }: SideMetrics): string[] {
  return Object.entries(figures)
    .filter(([, value]) =>
      typeof value === 'number' ? !Number.isFinite(value) : value != null && !value.isFinite(),
    )
    .map(([name]) => name);
}

/** Whether both sides have reported. */
export function bothReported(metrics: MetricsBySide): metrics is BySide<SideMetrics> {
  return SIDES.every((side) => metrics[side] !== null);
}

export const sideMetricsCodec = z.strictObject({
  netPnlUsd: decimalCodec,
  totalPnlUsd: decimalCodec,
  maxDrawdown: decimalCodec,
  sharpeRatio: decimalCodec.nullable(),
  winRate: decimalCodec.nullable(),
  trades: countCodec,
  errors: countCodec,
  totalGasUsd: decimalCodec,
  avgTradeSizeUsd: decimalCodec,
  uptimeSeconds: countCodec,
  reportedAt: instantCodec,
  unrealizedPnlUsd: decimalCodec.optional(),
  asOf: instantCodec.optional(),
  session: z.string().optional(),
  fellAt: instantCodec.optional(),
}) satisfies z.ZodType<SideMetrics>;
