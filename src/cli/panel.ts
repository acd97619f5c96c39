/** A deployment as lines for a terminal of a given width: what it does now, how both sides do, what decides next. */
import { Decimal } from '../core/values/decimal.ts';
import { bar } from './chart.ts';
import { interval, lines, returns } from './curves.ts';
import type { DeploymentView, GateView, PlanView } from './deployment.ts';
import { type Paint, type Terminal, table, wrap } from './terminal.ts';
import { duration, moment, money, returnOn, share, styleOf, words } from './words.ts';

const LABEL = 11;
/** Of the second line of what belongs together. */
const INDENT = 2;
const CHART_ROWS = 6;
const EVIDENCE_ROWS = 4;
/** A chart that is lower says nothing. */
const LEAST_ROWS = 3;
/** Its caption and a blank line. */
const UNDER_CHART = 2;
const STEP_COLUMNS = 24;
const LEAST_STEP_COLUMNS = 8;
const MOST_COLUMNS = 140;

/** @param rows lines that there is room for: the charts take what the words leave */
export function panel(deployment: DeploymentView, terminal: Terminal, rows: number = Infinity): string[] {
  const columns = Math.min(terminal.columns(), MOST_COLUMNS);
  const { paint } = terminal;
  const above = [
    ...title(deployment, columns, paint),
    ...labelled('step', steps(deployment, columns, paint)),
    '',
    ...sides(deployment, terminal),
    '',
  ];
  const below = [
    ...evidence(deployment, columns, paint),
    ...gates(deployment, columns, paint),
    ...capital(deployment, columns, paint),
    ...lease(deployment, paint),
    ...decision(deployment, columns, paint),
    ...labelled('now', wrapped(withoutEvidence(deployment.summary), columns)),
    ...labelled('you can', actions(deployment, columns, paint)),
  ];
  return [...above, ...curves(deployment, rows - above.length - below.length, columns, paint), ...below];
}

/** Lines with a label before the first. */
function labelled(label: string, lines: readonly string[]): string[] {
  return lines.map((line, index) => `${(index === 0 ? label : '').padEnd(LABEL)}${line}`);
}

const wrapped = (text: string, columns: number) => wrap(text, columns - LABEL);

function title(deployment: DeploymentView, columns: number, paint: Paint): string[] {
  const { id, strategyId, chain, stableVersionId, canaryVersionId, status } = deployment;
  const style = styleOf(status);
  const state = style ? paint(style, words(status)) : words(status);
  const where = chain === 'unknown' ? '' : ` on ${chain}`;
  const text = `${strategyId}${where}  ${stableVersionId} → ${canaryVersionId}`;
  const plain = `${text}  ${words(status)}`;
  const gap = Math.max(2, columns - plain.length + 2 - id.length);
  const fits = plain.length + 2 + id.length <= columns;
  return [
    `${paint('bold', text)}  ${state}${fits ? `${' '.repeat(gap - 2)}${paint('dim', id)}` : ''}`,
    ...(fits ? [] : [paint('dim', id)]),
  ];
}

function steps(
  { config, step, status, observationRemainingSeconds, endedAt }: DeploymentView,
  columns: number,
  paint: Paint,
): string[] {
  const all = config.steps.length;
  const position = `${step.number} of ${all}: ${share(step.canaryPercent)} of the capital`;
  if (status === 'PENDING') return [`${position}, not deployed yet`];
  if (endedAt !== null) return [`${position}, ended ${moment(endedAt)}`];
  const total = config.steps.reduce((sum, { minutes }) => sum + minutes * 60, 0);
  const done = total === 0 ? 1 : 1 - observationRemainingSeconds / total;
  const rest =
    status === 'OBSERVATION_COMPLETE' ? 'observation over' : `${duration(observationRemainingSeconds)} left`;
  const text = `${position}, ${rest}`;
  const width = Math.max(LEAST_STEP_COLUMNS, Math.min(STEP_COLUMNS, columns - LABEL - 2 - text.length));
  return [`${paint('cyan', bar(done, width))}  ${text}`];
}

function sides(deployment: DeploymentView, terminal: Terminal): string[] {
  const { canaryMetrics, stableMetrics } = deployment;
  const rows = [
    { name: 'canary', metrics: canaryMetrics, style: 'yellow' },
    { name: 'stable', metrics: stableMetrics, style: 'cyan' },
  ] as const;
  return table(
    rows,
    [
      { head: '', of: ({ name }) => name.padEnd(LABEL - 2), style: ({ style }) => style },
      { head: 'RETURN', of: ({ metrics }) => returnOn(metrics), right: true },
      { head: 'NET PNL', of: ({ metrics }) => money(metrics?.metrics.netPnlUsd), right: true },
      { head: 'CAPITAL', of: ({ metrics }) => money(metrics?.capitalAllocatedUsd), right: true },
      { head: 'TRADES', of: ({ metrics }) => String(metrics?.tradeCount ?? '–'), right: true },
      { head: 'ERRORS', of: ({ metrics }) => String(metrics?.errorCount ?? '–'), right: true },
      {
        head: 'DRAWDOWN',
        of: ({ metrics }) => (metrics ? percentOf(metrics.metrics.maxDrawdown) : '–'),
        right: true,
      },
      { head: 'SHARPE', of: ({ metrics }) => shortOf(metrics?.metrics.sharpeRatio), right: true },
    ],
    terminal,
  );
}

const percentOf = (fraction: string) => `${(Number(fraction) * 100).toFixed(2)} %`;
const shortOf = (value: string | null | undefined) => (value == null ? '–' : Number(value).toFixed(2));

/** As many rows as there is room for; none where there is not. */
function curves(
  { series: { points } }: DeploymentView,
  room: number,
  columns: number,
  paint: Paint,
): string[] {
  const known = points.filter(({ canaryReturn, stableReturn }) => (canaryReturn ?? stableReturn) !== null);
  if (known.length < 2) return room > 1 ? [...labelled('curves', ['after two checks with figures']), ''] : [];
  const rows = Math.min(CHART_ROWS, room - UNDER_CHART);
  const left = room - rows - UNDER_CHART;
  const evidenceRows = Math.min(EVIDENCE_ROWS, left - UNDER_CHART);
  const picture = interval(points, paint);
  return [
    ...(rows >= LEAST_ROWS ? lines(returns(points, paint), rows, columns, LABEL, paint) : []),
    ...(picture && evidenceRows >= LEAST_ROWS ? lines(picture, evidenceRows, columns, LABEL, paint) : []),
  ];
}

function evidence({ comparison }: DeploymentView, columns: number, paint: Paint): string[] {
  if (!comparison) return [];
  const { verdict } = comparison.evidence;
  const summary = comparison.evidence.summary.replace(/^Evidence: /, '');
  const style = styleOf(verdict);
  const [first = '', ...more] = wrapped(`${words(verdict)}: ${summary}`, columns);
  const head = words(verdict);
  return labelled('evidence', [first.replace(head, style ? paint(style, head) : head), ...more]);
}

const MARKS: Readonly<Record<string, string>> = { PASSED: '✓', FAILED: '✗', NOT_APPLICABLE: '·' };
const COLOURS = { PASSED: 'green', FAILED: 'red', NOT_APPLICABLE: 'dim' } as const;

function gates({ comparison }: DeploymentView, columns: number, paint: Paint): string[] {
  if (!comparison || comparison.gates.length === 0) return labelled('gates', ['not judged yet']);
  const lines: string[] = [''];
  let width = 0;
  for (const gate of comparison.gates) {
    const text = `${MARKS[gate.outcome] ?? '?'} ${words(gate.name)}`;
    if (width > 0 && width + 2 + text.length > columns - LABEL) {
      lines.push('');
      width = 0;
    }
    lines[lines.length - 1] += `${width > 0 ? '  ' : ''}${paintGate(gate, text, paint)}`;
    width += text.length + (width > 0 ? 2 : 0);
  }
  return labelled('gates', lines);
}

export function paintGate({ outcome }: GateView, text: string, paint: Paint): string {
  return paint(COLOURS[outcome as keyof typeof COLOURS] ?? 'reset', text);
}

export const markOf = ({ outcome }: GateView): string => MARKS[outcome] ?? '?';

function capital({ allocation, totalCapitalUsd }: DeploymentView, columns: number, paint: Paint): string[] {
  if (!allocation) return labelled('capital', ['none yet: serin deploy gives it some']);
  const { number, cause, status, overdueSince, rollbackPlan } = allocation;
  const state = overdueSince === null ? words(status) : `overdue since ${moment(overdueSince)}`;
  const head = `${money(totalCapitalUsd)}, request ${number} (${words(cause)}): `;
  const sides = allocation.sides.flatMap((side) => {
    const { requestedUsd, heldUsd, openExposureUsd, unansweredSeconds } = side;
    const held = heldUsd === null ? 'never said what it holds' : `holds ${money(heldUsd)}`;
    const open = openExposureUsd === null ? '' : `, ${money(openExposureUsd)} in open positions`;
    const late = unansweredSeconds > 0;
    const waits = late ? `, unanswered for ${duration(unansweredSeconds)}` : '';
    const text = `${words(side.side)} to hold ${money(requestedUsd)}, ${held}${open}${waits}`;
    return wrap(text, columns - LABEL, INDENT).map((line) => (late ? paint('yellow', line) : line));
  });
  return labelled('capital', [
    head + (overdueSince === null ? state : paint('red', state)),
    ...sides,
    ...(rollbackPlan
      ? wrap(`plan for open positions: ${planOf(rollbackPlan)}`, columns - LABEL, INDENT)
      : []),
  ]);
}

function lease({ lease }: DeploymentView, paint: Paint): string[] {
  if (!lease?.until) return [];
  const { seconds, until, heartbeatAt, expired, stoodDown } = lease;
  const heard = heartbeatAt === null ? '' : `, heard ${moment(heartbeatAt)}`;
  const ended = `ran out ${moment(until)}${stoodDown ? ', the bot stood down' : ''}`;
  const line = expired ? paint('red', ended) : `until ${moment(until)}${heard} (${duration(seconds)})`;
  return labelled('lease', [line]);
}

/** `close, at most 25 bps of slippage, within 1 min`. */
function planOf({ positions, maxSlippageBps, deadlineSeconds }: PlanView): string {
  return [
    words(positions),
    ...(maxSlippageBps === null ? [] : [`at most ${new Decimal(maxSlippageBps)} bps of slippage`]),
    ...(deadlineSeconds === null ? [] : [`within ${duration(deadlineSeconds)}`]),
  ].join(', ');
}

function decision(deployment: DeploymentView, columns: number, paint: Paint): string[] {
  const { comparison, promotionRequest } = deployment;
  const asked = promotionRequest
    ? labelled(
        'to approve',
        wrapped(`${promotionRequest.by} asks for the promotion; another person approves it`, columns),
      )
    : [];
  if (!comparison) return asked;
  const style = styleOf(comparison.decision);
  const name = words(comparison.decision);
  // The evidence has its own line.
  const reasons = comparison.decisionReasons.filter((reason) => !reason.startsWith('Evidence: '));
  const lines = wrapped(`${name}: ${reasons.join('; ') || 'on the evidence'}`, columns);
  const [first = '', ...more] = lines;
  return [
    ...labelled('decision', [first.replace(name, style ? paint(style, name) : name), ...more]),
    ...asked,
  ];
}

const COMMANDS: Readonly<Record<string, string>> = {
  DEPLOY: 'deploy',
  PROMOTE: 'promote',
  ROLLBACK: 'rollback',
  CANCEL: 'cancel',
  PAUSE: 'pause',
  RESUME: 'resume',
  EXTEND: 'extend',
  ADVANCE_STEP: 'step',
  UPDATE_CONFIG: 'set',
};

/** A decision names the evidence among its reasons. */
const withoutEvidence = (summary: string) => summary.replace(/; Evidence: .*$/, '');

function actions(
  { availableActions, allocation, config }: DeploymentView,
  columns: number,
  paint: Paint,
): string[] {
  if (availableActions.length === 0) return ['nothing: it has ended'];
  const names = availableActions.map((action) => COMMANDS[action] ?? words(action));
  // An allocation that carries the plan shows it above.
  const shown = allocation?.rollbackPlan ?? null;
  const plan =
    config.rollbackPlan && !shown ? `; on the way down, open positions: ${planOf(config.rollbackPlan)}` : '';
  return wrapped(`${names.join(', ')}${plan}`, columns).map((line) => paint('dim', line));
}
