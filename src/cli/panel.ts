/** A deployment as lines for a terminal of a given width: what it does now, how both sides do, what decides next. */
import { bar, draw } from './chart.ts';
import { curvesOf, type DeploymentView, type GateView } from './deployment.ts';
import { type Paint, type Terminal, table, wrap } from './terminal.ts';
import { duration, moment, money, returnOn, share, styleOf, words } from './words.ts';

const LABEL = 11;
const CHART_ROWS = 6;
const STEP_COLUMNS = 24;
const MOST_COLUMNS = 140;

export function panel(deployment: DeploymentView, terminal: Terminal): string[] {
  const columns = Math.min(terminal.columns(), MOST_COLUMNS);
  const { paint } = terminal;
  return [
    ...title(deployment, columns, paint),
    ...labelled('step', steps(deployment, paint)),
    '',
    ...sides(deployment, terminal),
    '',
    ...chart(deployment, columns, paint),
    ...evidence(deployment, columns, paint),
    ...gates(deployment, columns, paint),
    ...capital(deployment, paint),
    ...lease(deployment, paint),
    ...decision(deployment, columns, paint),
    ...labelled('now', wrapped(deployment.summary, columns)),
    ...labelled('you can', actions(deployment, columns, paint)),
  ];
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
  return [`${paint('cyan', bar(done, STEP_COLUMNS))}  ${position}, ${rest}`];
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

function chart(deployment: DeploymentView, columns: number, paint: Paint): string[] {
  const { canary, stable } = curvesOf(deployment);
  if (canary.length < 2) return labelled('curves', ['after two checks']).concat('');
  const { lines, low, high } = draw(canary, stable, columns - LABEL, CHART_ROWS);
  const drawn = lines.map((cells, row) => {
    const label = row === 0 ? high : row === CHART_ROWS - 1 ? low : null;
    const edge = label === null ? '' : `${label >= 0 ? '+' : ''}${(label * 100).toFixed(2)} %`;
    const line = cells
      .map(({ text, first, second }) =>
        first && second ? text : first ? paint('yellow', text) : paint('cyan', text),
      )
      .join('');
    return `${edge.padEnd(LABEL)}${line}`.trimEnd();
  });
  const checks = `returns of ${canary.length} checks: ${paint('yellow', 'canary')}, ${paint('cyan', 'stable')}`;
  return [...drawn, ...labelled('', [checks]), ''];
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

function capital({ allocation, totalCapitalUsd }: DeploymentView, paint: Paint): string[] {
  if (!allocation) return labelled('capital', ['none yet: serin deploy gives it some']);
  const lines = allocation.sides.map(({ side, requestedUsd, heldUsd, unansweredSeconds }) => {
    const held = heldUsd === null ? 'never said what it holds' : `holds ${money(heldUsd)}`;
    const text = `${words(side)} should hold ${money(requestedUsd)}, ${held}`;
    return unansweredSeconds > 0
      ? paint('yellow', `${text}, unanswered for ${duration(unansweredSeconds)}`)
      : text;
  });
  return labelled('capital', [
    `${money(totalCapitalUsd)}, request ${allocation.number} (${words(allocation.cause)})`,
    ...lines,
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

function actions({ availableActions }: DeploymentView, columns: number, paint: Paint): string[] {
  if (availableActions.length === 0) return ['nothing: it has ended'];
  const names = availableActions.map((action) => COMMANDS[action] ?? words(action));
  return wrapped(names.join(', '), columns).map((line) => paint('dim', line));
}
