/**
 * A change of a configuration as a caller gives it: what is left out stays. Null switches a guardrail or an optional
 * setting off, and leaves any other setting as it is.
 */
import type { Parsed, Violation } from '../values/violation.ts';
import type { CanaryConfig } from './config.ts';
import { type CanaryConfigInput, parseConfig } from './parseConfig.ts';

/** Optional settings, for which null is a value. */
const MAY_BE_OFF = ['metricsProvider', 'tradingHours', 'capitalLeaseSeconds'];

/**
 * The configuration after a change, with every bound checked.
 * @param path where the change stands in the caller's input, for the paths of violations
 */
export function patchConfig(
  current: CanaryConfig,
  patch: CanaryConfigInput,
  path: readonly string[] = ['config'],
): Parsed<CanaryConfig> {
  const { guardrails, settlement, rollbackPlan, evidence, promotionCriteria } = patch;
  const merged: CanaryConfigInput = {
    ...over(current, patch, MAY_BE_OFF),
    promotionCriteria: over(current.promotionCriteria, promotionCriteria, ['maxErrorRateRatio']),
    evidence: over(current.evidence, evidence),
    guardrails: guardrailsOver(current, guardrails),
    settlement: settlement === null ? null : over(current.settlement, settlement),
    rollbackPlan:
      rollbackPlan === null
        ? null
        : over(current.rollbackPlan, rollbackPlan, ['maxSlippageBps', 'deadlineSeconds']),
    ...rampOver(current, patch),
  };
  // A configuration that was stored under wider bounds keeps its values.
  const parsed = parseConfig(merged, path, evidence ? 'GIVEN' : 'STORED');
  if (patch.steps) return parsed;
  if (parsed.ok) {
    // Without a list of steps a share has narrower bounds than the last step of one.
    const alone = parseConfig({ canaryPercent: patch.canaryPercent }, path);
    return alone.ok ? parsed : alone;
  }
  return { ok: false, violations: parsed.violations.map((violation) => asGiven(violation, path)) };
}

/**
 * The given settings over the current ones. What is no object is passed on: the reader says what is wrong with it.
 * @param nullable settings for which null is a value
 */
function over<C extends object | null, P extends object>(
  current: C,
  patch: P | null | undefined,
  nullable: readonly string[] = [],
): C | (C & P) | P {
  if (patch === null || patch === undefined) return current;
  if (typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const given = { ...patch };
  for (const [name, value] of Object.entries(patch)) {
    // The empty string is never a value.
    const isLeftOut = value === undefined || value === '' || (value === null && !nullable.includes(name));
    if (isLeftOut) Reflect.deleteProperty(given, name);
  }
  return { ...current, ...given };
}

function guardrailsOver(
  { guardrails: current }: CanaryConfig,
  patch: CanaryConfigInput['guardrails'],
): CanaryConfigInput['guardrails'] {
  const { breaches, ...limits } = over(current, patch, Object.keys(current));
  return { ...limits, breaches: over(current.breaches, patch?.breaches) };
}

/** The ramp after the change. `canaryPercent` and `observationPeriodMinutes` are those of the first, or only, step. */
function rampOver(
  { steps: current }: CanaryConfig,
  { steps, canaryPercent, observationPeriodMinutes }: CanaryConfigInput,
): Pick<CanaryConfigInput, 'steps' | 'canaryPercent' | 'observationPeriodMinutes'> {
  if (steps) return { steps, canaryPercent, observationPeriodMinutes };
  const [first, ...later] = current;
  if (!first) throw new Error('a configuration has no step');
  const begins = { ...first, canaryPercent: canaryPercent ?? first.canaryPercent };
  // Of several steps nobody can know which one is to be longer.
  if (later.length > 0)
    return { steps: [begins, ...later], canaryPercent: undefined, observationPeriodMinutes };
  const only = { ...begins, minutes: observationPeriodMinutes ?? first.minutes };
  return { steps: [only], canaryPercent: undefined, observationPeriodMinutes: undefined };
}

/** What a caller who gave no list of steps has given instead. */
const GIVEN_AS: Readonly<Record<string, string>> = {
  steps: 'observationPeriodMinutes',
  'steps.0.minutes': 'observationPeriodMinutes',
  'steps.0.canaryPercent': 'canaryPercent',
};

function asGiven({ path, message }: Violation, prefix: readonly string[]): Violation {
  const name = GIVEN_AS[path.slice(prefix.length).join('.')];
  return { path: name === undefined ? path : [...prefix, name], message };
}
