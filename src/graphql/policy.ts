/** Policies tried before they are trusted: what a configuration would decide on canaries whose worth is known. */
import { GraphQLError } from 'graphql';
import { askPolicy, type PolicyQuestion, simulatePolicy, simulatePolicyNow } from '../app/policyTrials.ts';
import { type CanaryConfigInput, plannedChecks } from '../core/config/config.ts';
import { ASSUMPTION_BOUNDS, type Assumptions, type AssumptionsInput } from '../core/policy/assumptions.ts';
import type {
  CANARY_KINDS,
  Estimate,
  Outcome,
  PolicySimulation,
  SimulatedCanary,
} from '../core/policy/simulation.ts';
import { describeViolations, type Violation } from '../core/values/violation.ts';
import { SimulationTooLong, SimulatorBusy, SimulatorGone } from '../simulation/simulator.ts';
import { builder, type Context } from './builder.ts';
import { CanaryConfigInputType, CanaryConfigType } from './config.ts';
import { DecisionType } from './metrics.ts';
import { badInput } from './paging.ts';

const assumed: Record<keyof Assumptions, string> = {
  tradesPerCheck: 'Trades of each side between two checks, on average.',
  volatility: "Standard deviation of a side's return between two checks, a fraction of its capital: sigma.",
  correlation: "Correlation of the two sides' returns.",
  edge: 'Mean return of the stable version between two checks, in sigma.',
  difference: 'How much better the better canary and how much worse the worse one is, in sigma a check.',
  capitalUsd: 'Capital of both sides together, USD.',
  runs: 'Simulated trials of each kind of canary.',
  seed: 'The same seed gives the same answer.',
};

const described = (name: keyof Assumptions, unlessGiven: string) => {
  const [min, max] = ASSUMPTION_BOUNDS[name];
  return `${assumed[name]} ${min} to ${max}; ${unlessGiven} unless given.`;
};

const AssumptionsInputType = builder.inputType('PolicyAssumptionsInput', {
  description:
    'What a simulation assumes about the strategy and its market; what is left out takes its default.',
  fields: (t) => ({
    tradesPerCheck: t.float({ description: described('tradesPerCheck', '1') }),
    volatility: t.float({
      description: described(
        'volatility',
        '0.001 for checks a minute apart, growing with the root of the interval,',
      ),
    }),
    correlation: t.float({ description: described('correlation', '0.6') }),
    edge: t.float({ description: described('edge', '0.05') }),
    difference: t.float({ description: described('difference', '0.5') }),
    capitalUsd: t.float({ description: described('capitalUsd', '100000') }),
    runs: t.int({
      description: `${described('runs', '500')} Runs times kinds times checks are bounded too.`,
    }),
    seed: t.int({ description: described('seed', '1') }),
  }),
});

const AssumptionsType = builder.objectRef<Assumptions>('PolicyAssumptions').implement({
  description: 'What a simulation assumed.',
  fields: (t) => ({
    tradesPerCheck: t.exposeFloat('tradesPerCheck', { description: assumed.tradesPerCheck }),
    volatility: t.exposeFloat('volatility', { description: assumed.volatility }),
    correlation: t.exposeFloat('correlation', { description: assumed.correlation }),
    edge: t.exposeFloat('edge', { description: assumed.edge }),
    difference: t.exposeFloat('difference', { description: assumed.difference }),
    capitalUsd: t.exposeFloat('capitalUsd', { description: assumed.capitalUsd }),
    runs: t.exposeInt('runs', { description: assumed.runs }),
    seed: t.exposeInt('seed', { description: assumed.seed }),
  }),
});

const KindType = builder.enumType('CanaryKind', {
  description: 'What a simulated canary is worth.',
  values: {
    IDENTICAL: { description: 'The same strategy as the stable version.' },
    BETTER: { description: 'Better by `difference`.' },
    WORSE: { description: 'Worse by `difference`.' },
  } satisfies Record<(typeof CANARY_KINDS)[number], { description: string }>,
});

const EstimateType = builder.objectRef<Estimate>('Estimate').implement({
  description: 'A figure found by simulation.',
  fields: (t) => ({
    value: t.exposeFloat('value', { description: 'The figure.' }),
    standardError: t.exposeFloat('standardError', {
      description: 'Its Monte Carlo standard error: how far chance may have moved it.',
    }),
  }),
});

const OutcomeType = builder.objectRef<Outcome>('PolicyOutcome').implement({
  description: 'One way in which trials were decided.',
  fields: (t) => ({
    decision: t.expose('decision', { type: DecisionType, description: 'What was decided.' }),
    because: t.exposeString('because', {
      nullable: true,
      description:
        'The gate or guardrail that decided, INCONCLUSIVE where nothing spoke until the end; null for a promotion.',
    }),
    share: t.exposeFloat('share', { description: 'Share of the trials.' }),
  }),
});

const SimulatedCanaryType = builder.objectRef<SimulatedCanary>('SimulatedCanary').implement({
  description: 'What became of the simulated canaries of one kind.',
  fields: (t) => {
    const share = (name: 'promoted' | 'rolledBack' | 'review', description: string) =>
      t.expose(name, { type: EstimateType, description });
    const loss = (name: 'lossBeforeRollback' | 'lossOfWaiting', description: string) =>
      t.expose(name, { type: EstimateType, nullable: true, description });
    return {
      kind: t.expose('kind', { type: KindType, description: 'What they are worth.' }),
      promoted: share('promoted', 'Share with the decision PROMOTE.'),
      rolledBack: share('rolledBack', 'Share with the decision ROLLBACK, guardrails included.'),
      review: share('review', 'Share left to a person at the end.'),
      medianSecondsToDecide: t.exposeFloat('medianSecondsToDecide', {
        description: 'Median time from the first allocation to the decision, in seconds.',
      }),
      lossBeforeRollback: loss(
        'lossBeforeRollback',
        'Mean loss of those that were rolled back until then, a fraction of their capital; null when none was.',
      ),
      lossOfWaiting: loss(
        'lossOfWaiting',
        'What the same canaries would have lost by the end of the planned observation.',
      ),
      outcomes: t.field({
        type: [OutcomeType],
        description: 'How they were decided, the most frequent first.',
        resolve: ({ outcomes }) => [...outcomes],
      }),
    };
  },
});

interface SimulationView extends PolicySimulation {
  readonly question: PolicyQuestion;
}

const PolicySimulationType = builder.objectRef<SimulationView>('PolicySimulation').implement({
  description:
    'How a policy would decide on canaries whose worth is known. Seeded: the same question, the same answer.',
  fields: (t) => ({
    complete: t.boolean({
      description: 'Whether all runs are done.',
      resolve: ({ completedRuns, assumptions }) => completedRuns === assumptions.runs,
    }),
    completedRuns: t.exposeInt('completedRuns', { description: 'Runs done so far.' }),
    plannedChecks: t.int({
      description: 'Checks that the policy plans for a trial.',
      resolve: ({ question }) => plannedChecks(question.config),
    }),
    config: t.field({
      type: CanaryConfigType,
      description: 'The policy, defaults filled in.',
      resolve: ({ question }) => question.config,
    }),
    assumptions: t.expose('assumptions', {
      type: AssumptionsType,
      description: 'What was assumed, defaults filled in.',
    }),
    canaries: t.field({
      type: [SimulatedCanaryType],
      description: 'What became of the canaries, kind by kind.',
      resolve: ({ canaries }) => [...canaries],
    }),
  }),
});

export const PolicyWarningType = builder.objectRef<Violation>('PolicyWarning').implement({
  description: 'A setting that is allowed, and probably not what was meant.',
  fields: (t) => ({
    message: t.exposeString('message', { description: 'What would happen, and what to change.' }),
    path: t.stringList({
      description: 'The way to the field to blame, from the root of the input.',
      resolve: ({ path }) => [...path],
    }),
  }),
});

interface PolicyArgs {
  readonly config?: CanaryConfigInput | null | undefined;
  readonly assumptions?: AssumptionsInput | null | undefined;
}

function readQuestion({ config, assumptions }: PolicyArgs): PolicyQuestion {
  const read = askPolicy(config ?? {}, assumptions ?? {});
  if (!read.ok) throw badInput(describeViolations(read.violations), read.violations[0]?.path ?? []);
  return read.value;
}

/** What a caller can do something about gets a code; the rest is ours. */
function explain(error: unknown): unknown {
  const coded = (code: string) =>
    new GraphQLError(error instanceof Error ? error.message : String(error), { extensions: { code } });
  if (error instanceof SimulatorBusy) return coded('RATE_LIMITED');
  if (error instanceof SimulationTooLong) return coded('TOO_COMPLEX');
  return error instanceof SimulatorGone ? coded('UNAVAILABLE') : error;
}

/** Reports as they come. A consumer that leaves, even while it waits, ends the simulation. */
function watchSimulation({ app }: Context, question: PolicyQuestion): AsyncIterableIterator<SimulationView> {
  const leaving = new AbortController();
  const reports = simulatePolicy(app, question, leaving.signal);
  return {
    async next() {
      try {
        const { value, done } = await reports.next();
        return done ? { value: undefined, done } : { value: { ...value, question }, done: false };
      } catch (error) {
        throw explain(error);
      }
    },
    async return() {
      leaving.abort();
      await reports.return(undefined);
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const CONFIG = 'The policy; defaults unless given.';
const ASSUMPTIONS = 'What to assume about the strategy; defaults unless given.';

builder.queryFields((t) => ({
  simulatePolicy: t.field({
    type: PolicySimulationType,
    description:
      'Tries a policy on simulated canaries that are identical to the stable version, better, and worse: error rates, ' +
      'time to decide and losses, each with its Monte Carlo error. `TOO_COMPLEX` when it takes more than 7 seconds; ' +
      '`policySimulation` shows the same with progress, and may take longer.',
    args: {
      config: t.arg({ type: CanaryConfigInputType, description: CONFIG }),
      assumptions: t.arg({ type: AssumptionsInputType, description: ASSUMPTIONS }),
    },
    resolve: async (_root, args, { app }): Promise<SimulationView> => {
      const question = readQuestion(args);
      try {
        return { ...(await simulatePolicyNow(app, question)), question };
      } catch (error) {
        throw explain(error);
      }
    },
  }),
}));

builder.subscriptionFields((t) => ({
  policySimulation: t.field({
    type: PolicySimulationType,
    description:
      '`simulatePolicy` with progress: reports while it runs, the complete one last. Then it ends.',
    args: {
      config: t.arg({ type: CanaryConfigInputType, description: CONFIG }),
      assumptions: t.arg({ type: AssumptionsInputType, description: ASSUMPTIONS }),
    },
    subscribe: (_root, args, context) => watchSimulation(context, readQuestion(args)),
    resolve: (report) => report,
  }),
}));
