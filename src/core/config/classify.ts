/**
 * What a change of a setting means for the risk of a live deployment. Every setting is classified: one without an entry
 * does not compile. A change is SAFER only if it can never lead to more capital at risk, or to it for longer without a
 * decision; whatever cannot be shown to be safer is LOOSER.
 */
import { Decimal, decimal, formatDecimal } from '../values/decimal.ts';
import { DEFAULT_SETTLEMENT, type SettlementConfig } from './capital.ts';
import {
  type CanaryConfig,
  DEFAULT_MIN_SHARPE_RATIO,
  type InconclusiveAction,
  STALE_CHECKS,
  type Step,
} from './config.ts';

/** FIXED: what the error rate of the evidence, or the ramp so far, rests on; it cannot change while the canary runs. */
export const CONFIG_EFFECTS = ['SAFER', 'LOOSER', 'FIXED'] as const;
export type ConfigEffect = (typeof CONFIG_EFFECTS)[number];

/** One setting that differs between two configurations. */
export interface ConfigFieldChange {
  /** Its path in the configuration, with dots: `guardrails.maxLossUsd`, `steps.1.minutes`. */
  readonly field: string;
  /** The values as strings; null for one that is off, or not there. */
  readonly before: string | null;
  readonly after: string | null;
  readonly effect: ConfigEffect;
}

/** How far a deployment is in its ramp: what has begun can only last longer. */
export interface RampProgress {
  /** Steps that have begun; 0 before capital is deployed, and then no setting is fixed. */
  readonly begun: number;
  /** Whether the latest of them still runs. */
  readonly running: boolean;
}

type Scalar = Decimal | string | number | boolean | null;

/** Whether the second value is safer than the first, which differs from it. A method type: the walk erases `V`. */
type IsSafer<V> = { isSafer(before: V, after: V, config: CanaryConfig): boolean }['isSafer'];

/** A group of settings that may be missing: `whole` is for one that appears or goes. */
interface OptionalGroup<V> {
  readonly whole: IsSafer<V | null>;
  readonly fields: RulesOf<V>;
}

/** The rule of each setting, and of each setting within a group. DERIVED: it says what the steps say. */
type RulesOf<T> = {
  readonly [K in keyof T]-?: T[K] extends Scalar
    ? IsSafer<T[K]> | 'FIXED' | 'DERIVED'
    : null extends T[K]
      ? OptionalGroup<NonNullable<T[K]>> | 'FIXED'
      : T[K] extends readonly unknown[]
        ? 'RAMP'
        : RulesOf<T[K]>;
};

/** The same without the types of the values, as the walk sees it. */
type Rule =
  | IsSafer<unknown>
  | 'FIXED'
  | 'DERIVED'
  | 'RAMP'
  | Rules
  | { whole: IsSafer<unknown>; fields: Rules };
interface Rules {
  readonly [setting: string]: Rule;
}

const below = (before: number | Decimal, after: number | Decimal) => decimal(after).lt(before);
const above = (before: number | Decimal, after: number | Decimal) => decimal(after).gt(before);
const turnedOn = (_before: boolean, after: boolean) => after;
const turnedOff = (_before: boolean, after: boolean) => !after;
/** No value can be shown to be safer than another one. */
const unordered = () => false;

/** A limit that is off is the loosest. */
const tighterLimit = (before: Decimal | number | null, after: Decimal | number | null) =>
  after !== null && (before === null || below(before, after));

/** An allowance that is off is the tightest. */
const smallerAllowance = (before: Decimal | null, after: Decimal | null) =>
  after === null || (before !== null && below(before, after));

/** It limits silence, and how old figures may be that Serin acts on automatically: five checks where it is off. */
const staleSooner: IsSafer<number | null> = (before, after, { checkIntervalSeconds }) =>
  tighterLimit(before, after) &&
  after !== null &&
  (before !== null || after <= STALE_CHECKS * checkIntervalSeconds);

/** A ratio other than the default asks for a Sharpe ratio even where the stable side has none. */
const stricterSharpe = (before: Decimal, after: Decimal) =>
  above(before, after) && !after.eq(DEFAULT_MIN_SHARPE_RATIO);

/** Capital that goes back, capital that waits for a person, capital that moves on automatically. */
const SAFEST_FIRST: readonly InconclusiveAction[] = ['ROLLBACK', 'WAIT', 'EXTEND'];
const nearerHome = (before: InconclusiveAction, after: InconclusiveAction) =>
  SAFEST_FIRST.indexOf(after) < SAFEST_FIRST.indexOf(before);

/** Sooner overdue, and stricter about when capital is home, than the defaults that apply without it. */
const expectsAtLeastDefaults = (before: SettlementConfig | null, after: SettlementConfig | null) =>
  before === null &&
  after !== null &&
  after.tolerancePercent.lte(DEFAULT_SETTLEMENT.tolerancePercent) &&
  after.deadlineSeconds <= DEFAULT_SETTLEMENT.deadlineSeconds;

const RULES: RulesOf<CanaryConfig> = {
  canaryPercent: 'DERIVED',
  observationPeriodMinutes: 'DERIVED',
  autoPromote: turnedOff,
  autoRollback: turnedOn,
  promotionCriteria: {
    minPnlRatio: 'FIXED',
    maxDrawdownRatio: below,
    minSharpeRatio: stricterSharpe,
    minWinRateRatio: above,
    // More trades are needed for a promotion, but the error rate is checked from as many attempts on, too.
    minTrades: unordered,
    maxErrorRate: below,
    maxErrorRateRatio: smallerAllowance,
    requirePositivePnl: turnedOn,
    pnlBasis: 'FIXED',
    drawdownFloor: below,
  },
  checkIntervalSeconds: 'FIXED',
  emitEvents: turnedOn,
  comparison: 'FIXED',
  evidence: { mode: 'FIXED', alpha: 'FIXED', minSamples: 'FIXED', margin: 'FIXED', pairing: 'FIXED' },
  guardrails: {
    maxLossUsd: tighterLimit,
    maxLossPercent: tighterLimit,
    maxDrawdown: tighterLimit,
    maxErrorRate: tighterLimit,
    maxStaleSeconds: staleSooner,
    breaches: {
      maxLossUsd: below,
      maxLossPercent: below,
      maxDrawdown: below,
      maxErrorRate: below,
      maxStaleSeconds: below,
    },
  },
  onInconclusive: nearerHome,
  maxExtensions: below,
  earlyPromote: turnedOff,
  requireApproval: turnedOn,
  requireUnrealized: turnedOn,
  metricsProvider: 'FIXED',
  settlement: {
    whole: expectsAtLeastDefaults,
    fields: { tolerancePercent: below, deadlineSeconds: below, required: turnedOn },
  },
  // To close at any price and to keep a position are dangers of different kinds.
  rollbackPlan: {
    whole: unordered,
    fields: { positions: unordered, maxSlippageBps: unordered, deadlineSeconds: unordered },
  },
  steps: 'RAMP',
  // Observation, pairs of returns and the margin of a day are counted in them.
  tradingHours: 'FIXED',
  // The bot counts the lease that it was given.
  capitalLeaseSeconds: 'FIXED',
};

const STEP_RULES: { readonly [K in keyof Step]-?: IsSafer<Step[K]> } = {
  canaryPercent: below,
  minutes: above,
  gate: (_before, after) => after === 'MANUAL',
  minMinutes: above,
};

/** The settings that differ, in the order of the configuration. Empty if the two are the same. */
export function configChanges(
  before: CanaryConfig,
  after: CanaryConfig,
  progress: RampProgress,
): ConfigFieldChange[] {
  const fixed: ConfigEffect = progress.begun > 0 ? 'FIXED' : 'LOOSER';
  const found: ConfigFieldChange[] = [];
  walk(RULES, before, after, []);
  return [...found, ...rampChanges(before, after, progress)];

  function walk(rules: Rules, from: object, to: object, path: readonly string[]): void {
    for (const [name, rule] of Object.entries(rules)) {
      const was: unknown = Reflect.get(from, name);
      const is: unknown = Reflect.get(to, name);
      compare(rule, was, is, [...path, name]);
    }
  }

  function compare(rule: Rule, was: unknown, is: unknown, path: readonly string[]): void {
    if (rule === 'DERIVED' || rule === 'RAMP' || isSame(was, is)) return;
    const change = (effect: ConfigEffect) =>
      found.push({ field: path.join('.'), before: textOf(was), after: textOf(is), effect });
    if (rule === 'FIXED') change(fixed);
    else if (typeof rule === 'function') change(rule(was, is, before) ? 'SAFER' : 'LOOSER');
    else if (!isGroup(was) || !isGroup(is))
      change(isOptional(rule) && rule.whole(was, is, before) ? 'SAFER' : 'LOOSER');
    else walk(isOptional(rule) ? rule.fields : rule, was, is, path);
  }
}

/** Whether a change needs nobody's consent: nothing in it is looser, and something is safer. */
export const isSafer = (changes: readonly ConfigFieldChange[]): boolean =>
  changes.length > 0 && changes.every(({ effect }) => effect === 'SAFER');

function rampChanges(
  config: CanaryConfig,
  { steps: after }: CanaryConfig,
  { begun, running }: RampProgress,
): ConfigFieldChange[] {
  const { steps: before } = config;
  const changes: ConfigFieldChange[] = [];
  const rules: Readonly<Record<string, IsSafer<unknown>>> = STEP_RULES;
  for (let index = 0; index < Math.max(before.length, after.length); index += 1) {
    const [was, is] = [before[index], after[index]];
    const hasBegun = index < begun;
    if (!was || !is) {
      const effect = hasBegun ? 'FIXED' : 'LOOSER';
      changes.push({ field: `steps.${index}`, before: textOf(was), after: textOf(is), effect });
      continue;
    }
    const mayLast = !hasBegun || (running && index === begun - 1);
    for (const [name, rule] of Object.entries(rules)) {
      const [from, to]: readonly unknown[] = [Reflect.get(was, name), Reflect.get(is, name)];
      if (isSame(from, to)) continue;
      const safer = mayLast && !(hasBegun && name === 'canaryPercent') && rule(from, to, config);
      const effect = safer ? 'SAFER' : hasBegun ? 'FIXED' : 'LOOSER';
      changes.push({ field: `steps.${index}.${name}`, before: textOf(from), after: textOf(to), effect });
    }
  }
  return changes;
}

const isOptional = (rule: Rules | OptionalGroup<unknown>): rule is OptionalGroup<unknown> => 'whole' in rule;

const isGroup = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Decimal.isDecimal(value);

function isSame(one: unknown, other: unknown): boolean {
  if (Decimal.isDecimal(one) && Decimal.isDecimal(other)) return one.eq(other);
  return one === other || (isGroup(one) && isGroup(other) && JSON.stringify(one) === JSON.stringify(other));
}

/** A value for people; of a group all its settings, one after the other. */
function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Decimal.isDecimal(value)) return formatDecimal(value);
  if (!isGroup(value)) return String(value);
  const named = Object.entries(value).map(([name, each]) => `${name} ${textOf(each) ?? 'none'}`);
  return named.join(', ');
}
