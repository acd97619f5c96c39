/** `serin simulate` and `serin replay`: what a configuration would do, before it is trusted with capital. */
import { SerinUnavailable } from '../client/index.ts';
import type { Context } from './context.ts';
import { notFound } from './exitCodes.ts';
import { type CreateOptions, configOf } from './lifecycle.ts';
import { table, wrap } from './terminal.ts';
import { duration, moment, words } from './words.ts';

interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

interface Simulation {
  readonly complete: boolean;
  readonly completedRuns: number;
  readonly plannedChecks: number;
  readonly canaries: readonly {
    readonly kind: string;
    readonly promoted: Estimate;
    readonly rolledBack: Estimate;
    readonly review: Estimate;
    readonly medianSecondsToDecide: number;
    readonly lossBeforeRollback: Estimate | null;
  }[];
}

const ESTIMATE = '{ value standardError }';
/** The one with progress: a query ends after 8 seconds. */
const SIMULATE = `subscription ($config: CanaryConfigInput, $assumptions: PolicyAssumptionsInput) {
  policySimulation(config: $config, assumptions: $assumptions) { complete completedRuns plannedChecks canaries {
    kind promoted ${ESTIMATE} rolledBack ${ESTIMATE} review ${ESTIMATE} medianSecondsToDecide
    lossBeforeRollback ${ESTIMATE} } } }`;

export interface SimulateOptions extends CreateOptions {
  readonly runs?: number;
  readonly seed?: number;
}

export async function simulate(options: SimulateOptions, context: Context): Promise<void> {
  const { serin, terminal } = context;
  const assumptions = {
    ...(options.runs === undefined ? {} : { runs: options.runs }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
  const config = (await configOf(options)) ?? null;
  const report = await completeReport({ config, assumptions }, serin);
  if (terminal.json) {
    terminal.value(report);
    return;
  }
  const { canaries, completedRuns, plannedChecks } = report;
  const lines = table(
    canaries,
    [
      { head: 'CANARY', of: ({ kind }) => words(kind) },
      { head: 'PROMOTED', of: ({ promoted }) => chance(promoted), right: true },
      { head: 'ROLLED BACK', of: ({ rolledBack }) => chance(rolledBack), right: true },
      { head: 'TO A PERSON', of: ({ review }) => chance(review), right: true },
      {
        head: 'DECIDED AFTER',
        of: ({ medianSecondsToDecide }) => duration(medianSecondsToDecide),
        right: true,
      },
      {
        head: 'LOST BY THEN',
        of: ({ lossBeforeRollback }) => (lossBeforeRollback ? chance(lossBeforeRollback, 2) : '–'),
        right: true,
      },
    ],
    terminal,
  );
  for (const line of lines) terminal.line(line);
  terminal.line(
    terminal.paint('dim', `${completedRuns} simulated canaries of each kind, ${plannedChecks} checks each`),
  );
}

/** @throws {SerinUnavailable} where the server ends before the simulation does */
async function completeReport(
  variables: Readonly<Record<string, unknown>>,
  serin: Context['serin'],
): Promise<Simulation> {
  const leaving = new AbortController();
  let why = 'the server ended it';
  const reports = serin.watch<Simulation>(SIMULATE, variables, leaving.signal, (reason) => {
    why = reason instanceof Error ? reason.message : String(reason);
    leaving.abort();
  });
  for await (const report of reports) if (report.complete) return report;
  throw new SerinUnavailable(`The simulation was not completed: ${why}`);
}

const chance = ({ value, standardError }: Estimate, digits = 1) =>
  `${(value * 100).toFixed(digits)} ± ${(standardError * 100).toFixed(digits)} %`;

interface Replay {
  readonly outcome: string;
  readonly checks: number;
  readonly decidedAt: string | null;
  readonly notes: readonly string[];
  readonly decisions: readonly {
    readonly at: string;
    readonly check: number;
    readonly decision: string;
    readonly because: string | null;
    readonly reasons: readonly string[];
  }[];
}

const REPLAY = `query ($deploymentId: ID!, $config: CanaryConfigInput) {
  replayPolicy(deploymentId: $deploymentId, config: $config) {
    outcome checks decidedAt notes decisions { at check decision because reasons } } }`;

export async function replay(deploymentId: string, options: CreateOptions, context: Context): Promise<void> {
  const { serin, terminal } = context;
  const config = (await configOf(options)) ?? null;
  const { replayPolicy } = await serin.query<{ replayPolicy: Replay | null }>(REPLAY, {
    deploymentId,
    config,
  });
  if (!replayPolicy) throw notFound(`There is no deployment ${deploymentId} (or this key may not see it)`);
  if (terminal.json) {
    terminal.value(replayPolicy);
    return;
  }
  const { outcome, checks, decisions, notes } = replayPolicy;
  terminal.line(`${terminal.paint('bold', words(outcome))} on ${checks} recorded checks`);
  for (const { at, check, decision, because, reasons } of decisions) {
    const why = `${because ? `${words(because)}: ` : ''}${reasons.join('; ')}`;
    const head = `  ${moment(at)}  check ${check}  ${words(decision)}  `;
    const [first = '', ...more] = wrap(why, terminal.columns() - 4);
    terminal.line(head);
    for (const line of [first, ...more]) terminal.line(`    ${line}`);
  }
  for (const note of notes) terminal.line(`note: ${note}`);
}
