/**
 * Absolute limits on the canary, checked on every report and every check whatever the sample size.
 * A guardrail trips when its limit was exceeded in as many consecutive checks as its `breaches` says.
 */

import { type CanaryConfig, GUARDRAILS, type GuardrailName } from '../config/config.ts';
import type { SideMetrics } from '../metrics/sideMetrics.ts';
import { type Decimal, decimal, formatDecimal, toStoredPrecision, ZERO } from '../values/decimal.ts';
import { counted, dollars } from '../values/format.ts';
import type { Side } from '../values/side.ts';
import { attemptErrorRate } from './errorRate.ts';

/** Consecutive checks that saw each limit broken. */
export type BreachCounts = Readonly<Record<GuardrailName, number>>;

export const NO_BREACHES: BreachCounts = {
  maxLossUsd: 0,
  maxLossPercent: 0,
  maxDrawdown: 0,
  maxErrorRate: 0,
  maxStaleSeconds: 0,
};

/** The counts before the latest figures, for a look at the same figures again. Silence is not part of them. */
export function withoutLatest(counts: BreachCounts): BreachCounts {
  const before = (name: GuardrailName) => Math.max(0, counts[name] - 1);
  return {
    maxLossUsd: before('maxLossUsd'),
    maxLossPercent: before('maxLossPercent'),
    maxDrawdown: before('maxDrawdown'),
    maxErrorRate: before('maxErrorRate'),
    maxStaleSeconds: counts.maxStaleSeconds,
  };
}

/** A limit that is broken now. */
export interface Breach {
  readonly guardrail: GuardrailName;
  readonly side: Side;
  /** Null where there is no number: errors without a trade. */
  readonly measured: Decimal | null;
  readonly limit: Decimal;
  readonly message: string;
}

/** The outcome of one check; `counts` are the previous ones if nothing has changed. */
export interface GuardrailCheck {
  readonly counts: BreachCounts;
  readonly tripped: Breach | null;
}

/** The canary as the limits see it. */
export interface GuardedFigures {
  readonly metrics: SideMetrics;
  /** Its return since the start, every dollar over the capital that it held when it was earned or lost. */
  readonly returned: Decimal;
}

/** Checks the limits that a report can break. The count of staleness, which only checks see, stays as it is. */
export function checkMetricLimits(
  config: CanaryConfig,
  canary: GuardedFigures | null,
  before: BreachCounts,
): GuardrailCheck {
  const broken = canary ? brokenLimits(config, canary) : [];
  return count(config, before, broken, (name) => name !== 'maxStaleSeconds');
}

/** Checks how long each side has been silent, in milliseconds of watched time. */
export function checkSilence(
  config: CanaryConfig,
  silentMs: Readonly<Record<Side, number>>,
  before: BreachCounts,
): GuardrailCheck {
  const limit = config.guardrails.maxStaleSeconds;
  const side: Side = silentMs.CANARY >= silentMs.STABLE ? 'CANARY' : 'STABLE';
  const seconds = silentMs[side] / 1000;
  const broken: Breach[] = [];
  if (limit !== null && seconds > limit) {
    const message = `no news of the ${side.toLowerCase()} side for ${Math.round(seconds)} s, at most ${limit} s allowed`;
    const measured = toStoredPrecision(decimal(seconds));
    broken.push({ guardrail: 'maxStaleSeconds', side, measured, limit: decimal(limit), message });
  }
  return count(config, before, broken, (name) => name === 'maxStaleSeconds');
}

function count(
  config: CanaryConfig,
  before: BreachCounts,
  broken: readonly Breach[],
  isChecked: (name: GuardrailName) => boolean,
): GuardrailCheck {
  const inARow = (name: GuardrailName): number => {
    if (!isChecked(name)) return before[name];
    return broken.some((breach) => breach.guardrail === name) ? before[name] + 1 : 0;
  };
  const counts: BreachCounts = {
    maxLossUsd: inARow('maxLossUsd'),
    maxLossPercent: inARow('maxLossPercent'),
    maxDrawdown: inARow('maxDrawdown'),
    maxErrorRate: inARow('maxErrorRate'),
    maxStaleSeconds: inARow('maxStaleSeconds'),
  };
  const same = GUARDRAILS.every((name) => counts[name] === before[name]);
  const trips = (name: GuardrailName) => counts[name] >= config.guardrails.breaches[name];
  const tripped = broken.find(({ guardrail }) => isChecked(guardrail) && trips(guardrail)) ?? null;
  return { counts: same ? before : counts, tripped };
}

function brokenLimits(config: CanaryConfig, { metrics: canary, returned }: GuardedFigures): Breach[] {
  const { guardrails, promotionCriteria } = config;
  const lossOf = (value: Decimal) => (value.isNegative() ? value.abs() : ZERO);
  const loss = lossOf(canary.netPnlUsd);
  const lossPercent = lossOf(returned).times(100);
  const rate = attemptErrorRate(canary, promotionCriteria.minTrades);
  const measured: Record<GuardrailName, { value: Decimal | null; broken: boolean; words: () => string }> = {
    maxLossUsd: above(guardrails.maxLossUsd, loss, () => {
      const hidden = isHidden(loss, guardrails.maxLossUsd);
      return `the canary lost ${hidden ? `$${inFull(loss)}` : dollars(loss)}`;
    }),
    maxLossPercent: above(guardrails.maxLossPercent, lossPercent, () => {
      const hidden = isHidden(lossPercent, guardrails.maxLossPercent);
      return `the canary lost ${hidden ? inFull(lossPercent) : lossPercent.toFixed(2)} % of the capital it held`;
    }),
    maxDrawdown: above(
      guardrails.maxDrawdown,
      canary.maxDrawdown,
      () => `the canary's drawdown is ${formatDecimal(canary.maxDrawdown)}`,
    ),
    maxErrorRate: {
      value: rate,
      broken:
        rate !== null && (canary.trades === 0 ? canary.errors > 0 : rate.gt(guardrails.maxErrorRate ?? rate)),
      words: () => `the canary made ${counted(canary.errors, 'error')} in ${counted(canary.trades, 'trade')}`,
    },
    maxStaleSeconds: { value: null, broken: false, words: () => '' },
  };
  return GUARDRAILS.flatMap((guardrail): Breach[] => {
    const limit = guardrails[guardrail];
    const { value, broken, words } = measured[guardrail];
    if (limit === null || !broken) return [];
    const allowed = guardrail === 'maxLossUsd' ? dollars(decimal(limit)) : limit;
    const message = `${words()}, at most ${allowed} allowed (${guardrail})`;
    const stored = value?.isFinite() ? toStoredPrecision(value) : null;
    return [{ guardrail, side: 'CANARY', measured: stored, limit: decimal(limit), message }];
  });
}

/** Whether two decimals do not show that a value is beyond its limit. */
const isHidden = (value: Decimal, limit: Decimal | null) =>
  limit !== null && value.toDecimalPlaces(2).lte(limit);
const inFull = (value: Decimal) => formatDecimal(toStoredPrecision(value));

function above(limit: Decimal | null, value: Decimal, words: () => string) {
  return { value, broken: limit !== null && value.gt(limit), words };
}
