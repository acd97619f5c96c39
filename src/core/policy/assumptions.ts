/**
 * What a simulated trial assumes about the strategy and its market, with defaults and bounds. A policy's error rates
 * hold under assumptions only, so they are part of every answer.
 */
import { type CanaryConfig, plannedChecks } from '../config/config.ts';
import type { Parsed, Violation } from '../values/violation.ts';

export interface Assumptions {
  /** Trades of each side between two checks, on average; 0.2 is one trade every five checks. */
  readonly tradesPerCheck: number;
  /** Standard deviation of a side's return between two checks, a fraction of its capital (sigma). */
  readonly volatility: number;
  /** Correlation of the two sides' returns: they trade the same market. */
  readonly correlation: number;
  /** Correlation of each side's return with its own one check before. */
  readonly autocorrelation: number;
  /** Mean return of the stable version between two checks, in sigma. */
  readonly edge: number;
  /** How much better the better canary and how much worse the worse one is, in sigma between two checks. */
  readonly difference: number;
  /** Capital of both sides together, USD. */
  readonly capitalUsd: number;
  /** Simulated trials of each kind of canary. */
  readonly runs: number;
  readonly seed: number;
}

export type AssumptionsInput = { readonly [K in keyof Assumptions]?: Assumptions[K] | null | undefined };

/** Lowest and highest value of each assumption. */
export const ASSUMPTION_BOUNDS: Readonly<Record<keyof Assumptions, readonly [number, number]>> = {
  tradesPerCheck: [0.001, 20],
  volatility: [0.000_001, 0.1],
  correlation: [0, 0.999],
  autocorrelation: [-0.9, 0.9],
  edge: [-5, 5],
  difference: [0, 5],
  capitalUsd: [1, 1_000_000_000],
  runs: [1, 100_000],
  seed: [0, 2_147_483_647],
};

/** Maximum number of checks in one simulation, over all runs and kinds: some ten seconds of one core. */
export const MAX_SIMULATED_CHECKS = 20_000_000;

const NAMES = [
  'tradesPerCheck',
  'volatility',
  'correlation',
  'autocorrelation',
  'edge',
  'difference',
  'capitalUsd',
  'runs',
  'seed',
] as const satisfies readonly (keyof Assumptions)[];

const WHOLE = new Set<keyof Assumptions>(['runs', 'seed']);

/** The defaults; volatility grows with the root of the interval, from 0.1 % a minute (3.8 % a day). */
export function defaultAssumptions({ checkIntervalSeconds }: CanaryConfig): Assumptions {
  return {
    tradesPerCheck: 1,
    volatility: 0.001 * Math.sqrt(checkIntervalSeconds / 60),
    correlation: 0.6,
    autocorrelation: 0,
    edge: 0.05,
    difference: 0.5,
    capitalUsd: 100_000,
    runs: 500,
    seed: 1,
  };
}

/** Reads assumptions, fills in defaults and checks every bound, the work they ask for among them. */
export function parseAssumptions(
  input: AssumptionsInput,
  config: CanaryConfig,
  kinds: number,
  path: readonly string[] = ['assumptions'],
): Parsed<Assumptions> {
  const given = Object.entries(input).filter(([, value]) => value !== null && value !== undefined);
  const assumptions: Assumptions = { ...defaultAssumptions(config), ...Object.fromEntries(given) };
  const violations = NAMES.flatMap((name) => violationsOf(name, assumptions[name], path));
  const longest = longestTrial(config);
  const most = Math.floor(MAX_SIMULATED_CHECKS / (kinds * longest));
  if (violations.length === 0 && assumptions.runs > most) {
    const policy = `for a policy of up to ${longest} checks`;
    const message =
      most > 0
        ? `must be at most ${most} ${policy}, got ${assumptions.runs}`
        : `must be 0 ${policy}: observe for shorter or check less often to simulate it`;
    violations.push({ path: [...path, 'runs'], message });
  }
  return violations.length > 0 ? { ok: false, violations } : { ok: true, value: assumptions };
}

function violationsOf(name: keyof Assumptions, value: number, path: readonly string[]): Violation[] {
  const [min, max] = ASSUMPTION_BOUNDS[name];
  const refuse = (message: string): Violation[] => [{ path: [...path, name], message }];
  if (!(value >= min && value <= max)) return refuse(`must be between ${min} and ${max}, got ${value}`);
  return WHOLE.has(name) && !Number.isInteger(value) ? refuse(`must be a whole number, got ${value}`) : [];
}

/** Checks of the longest trial that a policy allows, extensions included. */
export function longestTrial(config: CanaryConfig): number {
  const { onInconclusive, maxExtensions, steps, checkIntervalSeconds } = config;
  const longest = Math.max(...steps.map(({ minutes }) => minutes));
  const extensions = onInconclusive === 'EXTEND' ? maxExtensions : 0;
  return plannedChecks(config) + steps.length + Math.ceil((extensions * longest * 60) / checkIntervalSeconds);
}
