/** `serin why`: the last decision with everything it was made of, or what stands in the way of one. */
import type { Context } from './context.ts';
import { type ComparisonView, type DecisionView, type DeploymentView, readDeployment } from './deployment.ts';
import { markOf, paintGate } from './panel.ts';
import { type Terminal, wrap } from './terminal.ts';
import { moment, styleOf, words } from './words.ts';

export async function why(id: string, context: Context): Promise<void> {
  const { terminal } = context;
  const deployment = await readDeployment(id, context);
  const last = deployment.decisionHistory.at(-1) ?? null;
  if (terminal.json) {
    const { status, summary, comparison } = deployment;
    terminal.value({ id, status, summary, decision: last, comparison });
    return;
  }
  terminal.line(terminal.paint('bold', `${deployment.strategyId}  ${id}  ${words(deployment.status)}`));
  if (last) for (const line of decided(last, terminal)) terminal.line(line);
  else for (const line of undecided(deployment, terminal)) terminal.line(line);
}

function decided(decision: DecisionView, terminal: Terminal): string[] {
  const { actor, at, cause, automatic, reason, reasons, comparison } = decision;
  const by = automatic ? `by Serin (${words(cause)})` : `by ${actor}`;
  const style = styleOf(decision.decision);
  const name = words(decision.decision);
  return [
    `${style ? terminal.paint(style, name) : name} ${by} at ${moment(at)}${reason ? `: ${reason}` : ''}`,
    ...because(reasons, terminal),
    ...facts(comparison, terminal),
  ];
}

function undecided({ summary, comparison }: DeploymentView, terminal: Terminal): string[] {
  if (!comparison) return ['Nothing was decided yet.', summary];
  const { decision, decisionReasons } = comparison;
  return [
    `Nothing was decided yet. The comparison of this moment says ${words(decision)}:`,
    ...because(decisionReasons, terminal),
    ...facts(comparison, terminal),
  ];
}

const because = (reasons: readonly string[], terminal: Terminal) =>
  reasons.flatMap((reason) => wrap(`  · ${reason}`, terminal.columns(), 4).map(indentFirst));

/** `wrap` takes the blanks before the first word away. */
const indentFirst = (line: string) => (line.startsWith(' ') ? line : `  ${line}`);

function facts({ gates, evidence }: ComparisonView, terminal: Terminal): string[] {
  const width = Math.max(0, ...gates.map(({ name }) => words(name).length));
  const lines = gates.flatMap((gate) => {
    const head = `  ${markOf(gate)} ${words(gate.name).padEnd(width)}  `;
    const [first = '', ...more] = wrap(gate.reason, terminal.columns() - head.length);
    return [
      paintGate(gate, `${head}${first}`, terminal.paint),
      ...more.map((line) => ' '.repeat(head.length) + line),
    ];
  });
  const [first = '', ...more] = wrap(evidence.summary, terminal.columns() - 4);
  return [...lines, `  ${first}`, ...more.map((line) => `    ${line}`)];
}
