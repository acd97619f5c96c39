import { z } from 'zod';
import { countCodec, decimalCodec, instantCodec } from '../values/codecs.ts';
import { type Decimal, formatDecimal, ZERO } from '../values/decimal.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import type { Violation } from '../values/violation.ts';

export interface SideMetrics {
  /** Profit and loss after costs, USD. The figure decisions are made on. */
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
  /** When the latest news of this side came, epoch milliseconds. */
  readonly reportedAt: number;
}

/** How a side is measured: by running totals that are reported or fetched, or by its trades. One way a side. */
export const METRICS_SOURCES = ['TOTALS', 'TRADES'] as const;
export type MetricsSource = (typeof METRICS_SOURCES)[number];

/** The latest metrics of both sides; `null` where a side has not reported yet. */
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
] as const satisfies readonly (keyof MetricsReport)[];

/** Checks a report's bounds; an empty list means it may be applied. */
export function reportViolations(report: MetricsReport, path: readonly string[] = []): Violation[] {
  const violations: Violation[] = [];
  const refuse = (field: keyof MetricsReport, message: string) =>
    violations.push({ path: [...path, field], message });
  if (REPORT_FIELDS.every((field) => report[field] === undefined)) {
    violations.push({ path: [...path], message: 'names no metric: give at least one' });
  }
  for (const field of ['drawdown', 'totalGasUsd', 'avgTradeSizeUsd'] as const) {
    const value = report[field];
    if (value?.isNegative() && !value.isZero())
      refuse(field, `must not be negative, got ${formatDecimal(value)}`);
  }
  for (const field of ['trades', 'errors', 'uptimeSeconds'] as const) {
    const value = report[field];
    if (value !== undefined && (!Number.isInteger(value) || value < 0)) {
      refuse(field, `must be a whole number, 0 or more, got ${value}`);
    }
  }
  if (report.winRate && (report.winRate.lt(0) || report.winRate.gt(1))) {
    refuse('winRate', `must be between 0 and 1, got ${formatDecimal(report.winRate)}`);
  }
  return violations;
}

/** The metrics after a report. `before` is null for a side that had not reported. */
export function applyReport(before: SideMetrics | null, report: MetricsReport, now: number): SideMetrics {
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
  now: number,
): MetricsBySide {
  return { ...metrics, [side]: applyReport(metrics[side], report, now) };
}

/** Errors over trades; `null` when there are errors and no trade, 0 when there is neither. */
export function errorRate(metrics: SideMetrics): Decimal | null {
  if (metrics.trades > 0) return ZERO.plus(metrics.errors).div(metrics.trades);
  return metrics.errors === 0 ? ZERO : null;
}

/** Names of the figures that are no finite numbers. */
export function nonFiniteFigures(metrics: SideMetrics): string[] {
  return Object.entries(metrics)
    .filter(([, value]) =>
      typeof value === 'number' ? !Number.isFinite(value) : value !== null && !value.isFinite(),
    )
    .map(([name]) => name);
}

/** Both sides have spoken. */
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
}) satisfies z.ZodType<SideMetrics>;
