/** The demo's terminal: the timeline scrolls by, the live deployment stays below it. Without a terminal, plain lines. */
import { styleText } from 'node:util';
import logUpdate from 'log-update';
import type { DeploymentStatus, SideStatus, TimelineEvent } from './api.ts';

type Style = Parameters<typeof styleText>[0];

const isTerminal = process.stdout.isTTY === true;
const paint = (style: Style, text: string) => (isTerminal ? styleText(style, text) : text);

/** How often the status is said where it cannot be drawn over. */
const PLAIN_STATUS_MS = 4000;

export interface Screen {
  /** A line that stays. */
  say(line?: string): void;
  heading(text: string): void;
  event(event: TimelineEvent): void;
  /** The status that is drawn over by the next one. */
  show(deployment: DeploymentStatus, marketDay: string): void;
  /** Leaves the last status standing. */
  settle(): void;
}

export function createScreen(): Screen {
  const curves: Record<'canary' | 'stable', number[]> = { canary: [], stable: [] };
  let panel = '';
  let saidAt = 0;

  function say(line = ''): void {
    if (!isTerminal) {
      process.stdout.write(`${line}\n`);
      return;
    }
    // The line takes the place of the status and stays; the status goes on below it.
    logUpdate(line);
    logUpdate.done();
    if (panel) logUpdate(panel);
  }

  return {
    say,
    heading(text) {
      curves.canary = [];
      curves.stable = [];
      say(`\n${paint('bold', text)}`);
    },
    event(event) {
      for (const line of describe(event)) say(line);
    },
    show(deployment, marketDay) {
      record(curves.canary, deployment.canaryMetrics);
      record(curves.stable, deployment.stableMetrics);
      if (isTerminal) {
        panel = draw(deployment, marketDay, curves);
        logUpdate(panel);
      } else if (Date.now() - saidAt > PLAIN_STATUS_MS) {
        saidAt = Date.now();
        say(`  ${marketDay}  ${inOneLine(deployment)}`);
      }
    },
    settle() {
      panel = '';
      if (isTerminal) logUpdate.done();
    },
  };
}

const EVENT_STYLES: Readonly<Record<string, Style>> = {
  DECISION_MADE: ['bold', 'yellow'],
  CANARY_PROMOTED: ['bold', 'green'],
  CANARY_ROLLED_BACK: ['bold', 'red'],
  GUARDRAIL_TRIPPED: 'red',
  ALLOCATION_REQUESTED: 'cyan',
  ALLOCATION_ACKNOWLEDGED: 'dim',
};

function describe({ type, at, description, details }: TimelineEvent): string[] {
  const time = paint('dim', at.slice(11, 19));
  const style = EVENT_STYLES[type] ?? 'reset';
  const reasons = details.record?.reasons;
  if (!reasons) return [`  ${time}  ${paint(style, description)}`];
  const [decision = description] = description.split(':');
  return [`  ${time}  ${paint(style, decision)}`, ...reasons.map((reason) => `            · ${reason}`)];
}

function record(curve: number[], side: SideStatus | null): void {
  if (side) curve.push(Number(side.metrics.netPnlUsd) / Math.max(1, Number(side.capitalAllocatedUsd)));
}

/** Characters of a reason that fit on a line of eighty columns beside the decision. */
const REASON_WIDTH = 48;

function draw(deployment: DeploymentStatus, marketDay: string, curves: Record<string, number[]>): string {
  const { strategyId, canaryVersionId, stableVersionId, status, step, comparison } = deployment;
  const where = `${status}${step.of > 1 ? `, step ${step.number} of ${step.of} (${step.canaryPercent} %)` : ''}`;
  const title = `${paint('bold', strategyId)}  ${canaryVersionId} beside ${stableVersionId}  ${paint('cyan', where)}`;
  return [
    '',
    `  ${title}   ${paint('dim', marketDay)}`,
    `  ${progress(deployment)}`,
    '',
    paint(
      'dim',
      `  ${'side'.padEnd(8)}${'capital'.padStart(12)}${'net PnL'.padStart(12)}${'fall'.padStart(8)}${'Sharpe'.padStart(8)}${'wins'.padStart(7)}${'trades'.padStart(8)}`,
    ),
    row('canary', deployment.canaryMetrics, curves.canary),
    row('stable', deployment.stableMetrics, curves.stable),
    '',
    ...(comparison ? verdict(comparison) : []),
  ].join('\n');
}

function progress({ observationRemainingSeconds, config }: DeploymentStatus): string {
  const whole = config.observationPeriodMinutes * 60;
  const done = Math.min(1, Math.max(0, 1 - observationRemainingSeconds / whole));
  const bar = '━'.repeat(Math.round(done * 40));
  const left = `${Math.ceil(observationRemainingSeconds / 60)} min of observation left`;
  return `${paint('green', bar)}${paint('dim', '─'.repeat(40 - bar.length))}  ${paint('dim', left)}`;
}

function row(name: string, side: SideStatus | null, curve: readonly number[] = []): string {
  if (!side) return `  ${name}`;
  const { metrics, capitalAllocatedUsd, tradeCount } = side;
  const pnl = Number(metrics.netPnlUsd);
  const cells = [
    name.padEnd(8),
    dollars(Number(capitalAllocatedUsd)).padStart(12),
    paint(pnl < 0 ? 'red' : 'green', `${pnl < 0 ? '-' : '+'}${dollars(Math.abs(pnl))}`.padStart(12)),
    percent(metrics.maxDrawdown).padStart(8),
    (metrics.sharpeRatio ? Number(metrics.sharpeRatio).toFixed(2) : '–').padStart(8),
    (metrics.winRate ? percent(metrics.winRate, 0) : '–').padStart(7),
    String(tradeCount).padStart(8),
  ];
  return `  ${cells.join('')}  ${paint('dim', sparkline(curve))}`;
}

const dollars = (value: number) => `$${Math.round(value).toLocaleString('en-US')}`;
const percent = (fraction: string, digits = 1) => `${(Number(fraction) * 100).toFixed(digits)} %`;

const GATE_MARKS: Readonly<Record<string, string>> = {
  PASSED: paint('green', '✓'),
  FAILED: paint('red', '✗'),
  NOT_APPLICABLE: paint('dim', '–'),
};

function verdict({
  decision,
  decisionReasons,
  gates,
  evidence,
}: NonNullable<DeploymentStatus['comparison']>) {
  const [first = ''] = decisionReasons;
  const marks = gates.map(
    ({ name, outcome }) => `${GATE_MARKS[outcome]} ${name.toLowerCase().replace('_', ' ')}`,
  );
  return [
    `  ${paint('dim', 'if decided now')}  ${paint('yellow', decision)}  ${shortened(first)}`,
    `  ${marks.join('  ')}`,
    `  ${paint('dim', evidence.summary)}`,
    '',
  ];
}

const shortened = (text: string) =>
  text.length > REASON_WIDTH ? `${text.slice(0, REASON_WIDTH - 1)}…` : text;

function inOneLine({ status, step, canaryMetrics, stableMetrics, comparison }: DeploymentStatus): string {
  const pnl = (side: SideStatus | null) => (side ? dollars(Number(side.metrics.netPnlUsd)) : '–');
  const sides = `canary ${pnl(canaryMetrics)}, stable ${pnl(stableMetrics)}`;
  return `${status} step ${step.number}/${step.of}  ${sides}  if decided now: ${comparison?.decision ?? '–'}`;
}

const BARS = '▁▂▃▄▅▆▇█';
const POINTS = 24;

/** The curve so far in a few characters. */
function sparkline(curve: readonly number[]): string {
  const every = Math.max(1, Math.ceil(curve.length / POINTS));
  const points = curve.filter((_, index) => index % every === 0);
  const low = Math.min(...points);
  const span = Math.max(...points) - low;
  return points
    .map((value) => BARS[span > 0 ? Math.round(((value - low) / span) * (BARS.length - 1)) : 0])
    .join('');
}
