/** Simulation of a policy: what a configuration would decide on canaries of known quality. */
import { GraphQLError } from 'graphql';
import {
  askPolicy,
  askPolicyLike,
  type PolicyQuestion,
  simulatePolicy,
  simulatePolicyNow,
} from '../app/policyTrials.ts';
import { plannedChecks } from '../core/config/config.ts';
import type { CanaryConfigInput } from '../core/config/parseConfig.ts';
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
  tradesPerCheck: 'Mean number of trades of each side between two checks.',
  volatility: "Standard deviation of a side's return between two checks, a fraction of its capital: sigma.",
  correlation: "Correlation of the two sides' returns.",
  autocorrelation: "Correlation of each side's return with its own one check before.",
  edge: 'Mean return of the stable version between two checks, in sigma.',
  difference: 'How much better (or worse) the better (or worse) canary is, in sigma per check.',
  capitalUsd: 'Capital of both sides together, USD.',
  runs: 'Simulated trials per kind of canary.',
  seed: 'Seed of the random numbers; the same seed gives the same result.',
};

const described = (name: keyof Assumptions, defaultValue: string) => {
  const [min, max] = ASSUMPTION_BOUNDS[name];
  return `${assumed[name]} Range: ${min} to ${max}. Default: ${defaultValue}.`;
};

const AssumptionsInputType = builder.inputType('PolicyAssumptionsInput', {
  description: 'What a simulation assumes about the strategy and its market; every field has a default.',
  fields: (t) => ({
    tradesPerCheck: t.float({ description: described('tradesPerCheck', '1') }),
    volatility: t.float({
      description: described(
        'volatility',
        '0.001 for checks one minute apart, and proportional to the square root of the interval',
      ),
    }),
    correlation: t.float({ description: described('correlation', '0.6') }),
    autocorrelation: t.float({ description: described('autocorrelation', '0') }),
    edge: t.float({ description: described('edge', '0.05') }),
    difference: t.float({ description: described('difference', '0.5') }),
    capitalUsd: t.float({ description: described('capitalUsd', '100000') }),
    runs: t.int({
      description: `${described('runs', '500')} The product of runs, kinds and checks is bounded too.`,
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
    autocorrelation: t.exposeFloat('autocorrelation', { description: assumed.autocorrelation }),
    edge: t.exposeFloat('edge', { description: assumed.edge }),
    difference: t.exposeFloat('difference', { description: assumed.difference }),
    capitalUsd: t.exposeFloat('capitalUsd', { description: assumed.capitalUsd }),
    runs: t.exposeInt('runs', { description: assumed.runs }),
    seed: t.exposeInt('seed', { description: assumed.seed }),
  }),
});

const KindType = builder.enumType('CanaryKind', {
  description: 'Quality of a simulated canary.',
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
      description: 'Its Monte Carlo standard error.',
    }),
  }),
});

const OutcomeType = builder.objectRef<Outcome>('PolicyOutcome').implement({
  description: 'One way in which trials ended.',
  fields: (t) => ({
    decision: t.expose('decision', { type: DecisionType, description: 'What was decided.' }),
    because: t.exposeString('because', {
      nullable: true,
      description:
        'The gate or guardrail that decided, INCONCLUSIVE if none did before the end; null for a promotion.',
    }),
    share: t.exposeFloat('share', { description: 'Share of the trials.' }),
  }),
});

const SimulatedCanaryType = builder.objectRef<SimulatedCanary>('SimulatedCanary').implement({
  description: 'Results for the simulated canaries of one kind.',
  fields: (t) => {
    const share = (name: 'promoted' | 'rolledBack' | 'review', description: string) =>
      t.expose(name, { type: EstimateType, description });
    const loss = (name: 'lossBeforeRollback' | 'lossOfWaiting', description: string) =>
      t.expose(name, { type: EstimateType, nullable: true, description });
    return {
      kind: t.expose('kind', { type: KindType, description: 'Quality of these canaries.' }),
      promoted: share('promoted', 'Share with the decision PROMOTE.'),
      rolledBack: share('rolledBack', 'Share with the decision ROLLBACK, guardrails included.'),
      review: share('review', 'Share left to a person at the end of the observation.'),
      medianSecondsToDecide: t.exposeFloat('medianSecondsToDecide', {
        description: 'Median time from the first allocation to the decision, in seconds.',
      }),
      lossBeforeRollback: loss(
        'lossBeforeRollback',
        'Mean loss of the rolled back canaries until their rollback, as a fraction of their capital; null if none was rolled back.',
      ),
      lossOfWaiting: loss(
        'lossOfWaiting',
        'What the same canaries would have lost by the end of the planned observation, as a fraction of their capital; null if none was rolled back.',
      ),
      outcomes: t.field({
        type: [OutcomeType],
        description: 'How the trials ended, most frequent first.',
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
    'How a policy would decide on canaries of known quality. Seeded: the same input gives the same result.',
  fields: (t) => ({
    complete: t.boolean({
      description: 'Whether all runs are finished.',
      resolve: ({ completedRuns, assumptions }) => completedRuns === assumptions.runs,
    }),
    completedRuns: t.exposeInt('completedRuns', { description: 'Runs finished so far.' }),
    plannedChecks: t.int({
      description: 'Planned checks per trial.',
      resolve: ({ question }) => plannedChecks(question.config),
    }),
    config: t.field({
      type: CanaryConfigType,
      description: 'The policy with all defaults.',
      resolve: ({ question }) => question.config,
    }),
    assumptions: t.expose('assumptions', {
      type: AssumptionsType,
      description: 'The assumptions with all defaults.',
    }),
    canaries: t.field({
      type: [SimulatedCanaryType],
      description: 'Results for each kind of canary.',
      resolve: ({ canaries }) => [...canaries],
    }),
  }),
});

export const PolicyWarningType = builder.objectRef<Violation>('PolicyWarning').implement({
  description: 'A setting that is allowed but probably not intended.',
  fields: (t) => ({
    message: t.exposeString('message', { description: 'What would happen, and what to change.' }),
    path: t.stringList({
      description: 'Path of the field, from the root of the input.',
      resolve: ({ path }) => [...path],
    }),
  }),
});

interface PolicyArgs {
  readonly config?: CanaryConfigInput | null | undefined;
  readonly assumptions?: AssumptionsInput | null | undefined;
  readonly deploymentId?: string | null | undefined;
}

/** What is to be simulated; measured assumptions of a deployment come before the defaults. */
async function readQuestion(
  { config, assumptions, deploymentId }: PolicyArgs,
  { app, actor }: Context,
): Promise<PolicyQuestion> {
  const inputs = { config: config ?? {}, assumptions: assumptions ?? {} };
  const read = await (typeof deploymentId === 'string'
    ? askPolicyLike(app, actor, deploymentId, inputs)
    : askPolicy(inputs));
  if (!read.ok) throw badInput(describeViolations(read.violations), read.violations[0]?.path ?? []);
  return read.value;
}

/** Adds an error code to errors that the caller can act on; other errors stay internal. */
function explain(error: unknown): unknown {
  const coded = (code: string) =>
    new GraphQLError(error instanceof Error ? error.message : String(error), { extensions: { code } });
  if (error instanceof SimulatorBusy) return coded('RATE_LIMITED');
  if (error instanceof SimulationTooLong) return coded('TOO_COMPLEX');
  return error instanceof SimulatorGone ? coded('UNAVAILABLE') : error;
}

/** The simulation's reports. If the consumer leaves, even while it waits, the simulation ends. */
function watchSimulation(
  { app, actor }: Context,
  question: PolicyQuestion,
): AsyncIterableIterator<SimulationView> {
  const left = new AbortController();
  const reports = simulatePolicy(app, actor, question, left.signal);
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
      left.abort();
      await reports.return(undefined);
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const CONFIG = 'The policy; every field has a default.';
const ASSUMPTIONS = 'Assumptions about the strategy; every field has a default.';
const MEASURED =
  'A deployment whose measured volatility, correlation, autocorrelation and trades a check are the defaults of the ' +
  'assumptions, converted to the check interval of `config`. It must have 20 pairs or more.';

builder.queryFields((t) => ({
  simulatePolicy: t.field({
    type: PolicySimulationType,
    description:
      'Simulates a policy on canaries that are identical to the stable version, better, and worse: error rates, time to ' +
      'decide and losses, each with its Monte Carlo error. `TOO_COMPLEX` if it takes more than 7 seconds; ' +
      '`policySimulation` computes the same with progress and may take longer. It knows neither freezes, loss budgets, ' +
      'settlement nor leases of capital.',
    args: {
      config: t.arg({ type: CanaryConfigInputType, description: CONFIG }),
      assumptions: t.arg({ type: AssumptionsInputType, description: ASSUMPTIONS }),
      deploymentId: t.arg.id({ description: MEASURED }),
    },
    resolve: async (_root, args, context): Promise<SimulationView> => {
      const question = await readQuestion(args, context);
      try {
        return {
          ...(await simulatePolicyNow(context.app, context.actor, question, context.presence.signal)),
          question,
        };
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
      '`simulatePolicy` with progress: intermediate reports, then the complete report, then the subscription ends.',
    args: {
      config: t.arg({ type: CanaryConfigInputType, description: CONFIG }),
      assumptions: t.arg({ type: AssumptionsInputType, description: ASSUMPTIONS }),
      deploymentId: t.arg.id({ description: MEASURED }),
    },
    subscribe: async (_root, args, context) => watchSimulation(context, await readQuestion(args, context)),
    resolve: (report) => report,
  }),
}));
