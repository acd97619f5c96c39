/** The parts of the benchmark by name; each answers its rows. */
import type { Row } from './harness/measure.ts';
import { budgets } from './parts/budgets.ts';
import { checks } from './parts/checks.ts';
import { console } from './parts/console.ts';
import { core } from './parts/core.ts';
import { fanout } from './parts/fanout.ts';
import { growth } from './parts/growth.ts';
import { halt } from './parts/halt.ts';
import { idle } from './parts/idle.ts';
import { latency } from './parts/latency.ts';
import { mutation } from './parts/mutation.ts';
import { reports } from './parts/reports.ts';
import { scale } from './parts/scale.ts';
import { series } from './parts/series.ts';
import { status } from './parts/status.ts';
import { trades } from './parts/trades.ts';
import { typename } from './parts/typename.ts';

export interface Options {
  readonly rounds: number;
  /** Length of one load. */
  readonly seconds: number;
  /** The full sizes: takes much longer. */
  readonly full: boolean;
  /** `growth` alone, up to 100 million events. */
  readonly longest: boolean;
}

export const PARTS: Readonly<Record<string, (options: Options) => Promise<Row[]>>> = {
  typename,
  status,
  mutation,
  reports,
  budgets,
  halt,
  fanout,
  console,
  trades,
  latency,
  checks,
  core,
  growth,
  series,
  scale,
  idle,
};
