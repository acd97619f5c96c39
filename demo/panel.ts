/** What the demo shows of a live deployment, as lines of text no wider than the terminal. */
import { wholeDollars } from '../examples/money.ts';
import type { DeploymentStatus, SideStatus } from './api.ts';
import { type Paint, wrap } from './style.ts';

/** The return on capital of one side, update by update. */
export interface Curve {
  readonly points: number[];
  netPnlUsd: number;
}

export interface Curves {
  readonly canary: Curve;
  readonly stable: Curve;
}

export const emptyCurves = (): Curves => ({
  canary: { points: [], netPnlUsd: 0 },
  stable: { points: [], netPnlUsd: 0 },
});

/** Adds what both sides earned since the last update, each divided by the capital that it held. */
export function extend(curves: Curves, { canaryMetrics, stableMetrics }: DeploymentStatus): void {
  addPoint(curves.canary, canaryMetrics);
  addPoint(curves.stable, stableMetrics);
}

function addPoint(curve: Curve, side: SideStatus | null): void {
  if (!side) return;
  const netPnlUsd = Number(side.metrics.netPnlUsd);
  const capitalUsd = Number(side.capitalAllocatedUsd);
  // A side without capital earns nothing; the last return of an ended deployment stays as it was.
  const earned = capitalUsd > 0 ? (netPnlUsd - curve.netPnlUsd) / capitalUsd : 0;
  curve.points.push((curve.points.at(-1) ?? 0) + earned);
  curve.netPnlUsd = netPnlUsd;
}

const MARGIN = 2;
/** The narrowest screen that is drawn for; a narrower terminal wraps by itself. */
const LEAST_WIDTH = 40;

export function drawPanel(
  deployment: DeploymentStatus,
  marketDay: string,
  curves: Curves,
  { columns, paint }: { readonly columns: number; readonly paint: Paint },
): string[] {
  const width = Math.max(LEAST_WIDTH, columns) - MARGIN;
  const { strategyId, canaryVersionId, stableVersionId, comparison } = deployment;
  const versions = `canary ${canaryVersionId} against stable ${stableVersionId}`;
  const title = `${paint('bold', strategyId)}  ${versions}  ${paint('cyan', stage(deployment))}  ${paint('dim', marketDay)}`;
  const lines = [
    '',
    ...wrap(title, width, MARGIN),
    progress(deployment, width, paint),
    '',
    ...table(deployment, curves, width, paint),
    '',
    ...chart(curves, width, paint),
    '',
    ...(comparison ? verdict(comparison, { ended: isEnded(deployment), width, paint }) : []),
  ];
  return lines.map((line) => (line === '' ? '' : ' '.repeat(MARGIN) + line));
}

const ENDED = ['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED'];
export const isEnded = ({ status }: DeploymentStatus) => ENDED.includes(status);

function stage({ status, step }: DeploymentStatus): string {
  return step.of > 1 ? `${status}, step ${step.number} of ${step.of} (${step.canaryPercent} %)` : status;
}

const LONGEST_BAR = 40;

function progress(
  { observationRemainingSeconds, config }: DeploymentStatus,
  width: number,
  paint: Paint,
): string {
  const whole = config.observationPeriodMinutes * 60;
  const done = Math.min(1, Math.max(0, 1 - observationRemainingSeconds / whole));
  const left = `${Math.ceil(observationRemainingSeconds / 60)} min of observation left`;
  const length = Math.min(LONGEST_BAR, width - left.length - 2);
  const bar = '━'.repeat(Math.round(done * length));
  return `${paint('green', bar)}${paint('dim', '─'.repeat(length - bar.length))}  ${paint('dim', left)}`;
}

interface Column {
  readonly head: string;
  readonly width: number;
  cell(side: SideStatus, curve: Curve): string;
}

const orDash = (value: string | null, write: (value: string) => string) =>
  value === null ? '–' : write(value);

/** Most important first: a narrow terminal shows as many as it has room for. */
const COLUMNS: readonly Column[] = [
  { head: 'capital', width: 12, cell: ({ capitalAllocatedUsd: usd }) => wholeDollars(Number(usd)) },
  { head: 'net PnL', width: 11, cell: ({ metrics }) => wholeDollars(Number(metrics.netPnlUsd)) },
  { head: 'return', width: 9, cell: (_side, { points }) => percent(points.at(-1) ?? 0) },
  { head: 'trades', width: 8, cell: ({ tradeCount }) => String(tradeCount) },
  { head: 'drawdown', width: 10, cell: ({ metrics }) => percent(Number(metrics.maxDrawdown)) },
  {
    head: 'Sharpe',
    width: 8,
    cell: ({ metrics }) => orDash(metrics.sharpeRatio, (value) => Number(value).toFixed(2)),
  },
  {
    head: 'wins',
    width: 7,
    cell: ({ metrics }) => orDash(metrics.winRate, (value) => percent(Number(value), 0)),
  },
];
const NAME_WIDTH = 8;

function table(
  { canaryMetrics, stableMetrics }: DeploymentStatus,
  curves: Curves,
  width: number,
  paint: Paint,
): string[] {
  let room = width - NAME_WIDTH;
  const shown: Column[] = [];
  for (const column of COLUMNS) {
    room -= column.width;
    if (room < 0) break;
    shown.push(column);
  }
  const head = shown.map((column) => column.head.padStart(column.width)).join('');
  const row = (name: string, side: SideStatus | null, curve: Curve) => {
    if (!side) return name;
    const colour = Number(side.metrics.netPnlUsd) < 0 ? 'red' : 'green';
    const cells = shown.map((column) => {
      const cell = column.cell(side, curve).padStart(column.width);
      return column.head === 'net PnL' ? paint(colour, cell) : cell;
    });
    return name.padEnd(NAME_WIDTH) + cells.join('');
  };
  return [
    paint('dim', 'side'.padEnd(NAME_WIDTH) + head),
    row('canary', canaryMetrics, curves.canary),
    row('stable', stableMetrics, curves.stable),
  ];
}

const percent = (fraction: number, digits = 1) => `${(fraction * 100).toFixed(digits)} %`;

const BARS = '▁▂▃▄▅▆▇█';
const MOST_POINTS = 60;

/** Both curves on one scale, so that the higher one is the better one. */
function chart({ canary, stable }: Curves, width: number, paint: Paint): string[] {
  const most = Math.min(MOST_POINTS, width - NAME_WIDTH);
  const sides = [thin(canary.points, most), thin(stable.points, most)];
  const low = Math.min(...sides.flat());
  const high = Math.max(...sides.flat());
  if (!(high > low)) return [];
  const scaled = (points: readonly number[]) =>
    points.map((value) => BARS[Math.round(((value - low) / (high - low)) * (BARS.length - 1))]).join('');
  const [canaryPoints = [], stablePoints = []] = sides;
  const scale = `return on capital, both on one scale: ${percent(low)} to ${percent(high)}`;
  return [
    ...wrap(scale, width, 0).map((line) => paint('dim', line)),
    `${'canary'.padEnd(NAME_WIDTH)}${paint('yellow', scaled(canaryPoints))}`,
    `${'stable'.padEnd(NAME_WIDTH)}${paint('cyan', scaled(stablePoints))}`,
  ];
}

/** At most `most` points at even distances, the newest among them. */
function thin(points: readonly number[], most: number): number[] {
  const every = Math.max(1, Math.ceil(points.length / most));
  const last = points.length - 1;
  return points.filter((_, index) => (last - index) % every === 0);
}

const GATE_MARKS: Readonly<Record<string, readonly ['green' | 'red' | 'dim', string]>> = {
  PASSED: ['green', '✓'],
  FAILED: ['red', '✗'],
  NOT_APPLICABLE: ['dim', '–'],
};

function verdict(
  { decision, decisionReasons, gates, evidence }: NonNullable<DeploymentStatus['comparison']>,
  { ended, width, paint }: { readonly ended: boolean; readonly width: number; readonly paint: Paint },
): string[] {
  const [reason = ''] = decisionReasons;
  const now = `${paint('dim', 'if decided now:')} ${paint('yellow', decision)}  ${reason}`;
  const marks = gates.map(({ name, outcome }) => {
    const [colour, mark] = GATE_MARKS[outcome] ?? ['dim', '?'];
    // Without a space that a line could be broken at.
    return `${paint(colour, mark)}\u00a0${name.toLowerCase().replaceAll('_', '\u00a0')}`;
  });
  return [
    ...(ended ? [] : wrap(now, width, MARGIN)),
    ...wrap(marks.join('  '), width, MARGIN),
    ...wrap(evidence.summary, width, MARGIN).map((line) => paint('dim', line)),
    '',
  ];
}

/** The same in one line, where there is no terminal to draw on. */
export function inOneLine({
  status,
  step,
  canaryMetrics,
  stableMetrics,
  comparison,
}: DeploymentStatus): string {
  const pnl = (side: SideStatus | null) => (side ? wholeDollars(Number(side.metrics.netPnlUsd)) : '–');
  const sides = `net PnL: canary ${pnl(canaryMetrics)}, stable ${pnl(stableMetrics)}`;
  return `${status}, step ${step.number} of ${step.of}; ${sides}; if decided now: ${comparison?.decision ?? '–'}`;
}
