/**
 * Reads a configuration as a caller gives it, or as it was stored: defaults and bounds. Every violated bound names its
 * field.
 */
import { type Decimal, decimal, formatDecimal, type NumberInput } from '../values/decimal.ts';
import { Reader } from '../values/inputReader.ts';
import type { Parsed } from '../values/violation.ts';
import {
  type RollbackPlanInput,
  readLease,
  readRollbackPlan,
  readSettlement,
  type SettlementInput,
} from './capital.ts';
import {
  type CanaryConfig,
  COMPARISONS,
  DEFAULT_MIN_SHARPE_RATIO,
  EVIDENCE_MODES,
  type EvidenceConfig,
  GUARDRAILS,
  type GuardrailName,
  type GuardrailsConfig,
  INCONCLUSIVE_ACTIONS,
  PAIRINGS,
  PNL_BASES,
  type PromotionCriteria,
  STALE_CHECKS,
  STEP_GATES,
  type Step,
  type StepGate,
} from './config.ts';
import { readTradingHours, type TradingHoursInput } from './tradingHours.ts';

/** Decimals may also be given as numbers or texts. */
type GivenValue<V> = V extends Decimal ? NumberInput : V;
type Given<T> = { readonly [K in keyof T]?: GivenValue<T[K]> | null | undefined };

/** A configuration as a caller gives it: whatever is left out (or null) takes its default. */
export interface CanaryConfigInput
  extends Given<
    Omit<
      CanaryConfig,
      | 'promotionCriteria'
      | 'evidence'
      | 'guardrails'
      | 'steps'
      | 'settlement'
      | 'rollbackPlan'
      | 'tradingHours'
    >
  > {
  readonly promotionCriteria?: Given<PromotionCriteria> | null | undefined;
  readonly evidence?: Given<EvidenceConfig> | null | undefined;
  readonly guardrails?: GuardrailsInput | null | undefined;
  readonly steps?: readonly StepInput[] | null | undefined;
  readonly settlement?: SettlementInput | null | undefined;
  readonly rollbackPlan?: RollbackPlanInput | null | undefined;
  readonly tradingHours?: TradingHoursInput | null | undefined;
}

/** Here `null` is a value: it switches that guardrail off. */
export interface GuardrailsInput extends Given<Omit<GuardrailsConfig, 'breaches'>> {
  readonly breaches?: Given<Record<GuardrailName, number>> | null | undefined;
}

export interface StepInput {
  readonly canaryPercent: NumberInput;
  readonly minutes: number;
  readonly gate?: StepGate | null | undefined;
  readonly minMinutes?: number | null | undefined;
}

/** The longest observation: a year and a day. */
const MAX_OBSERVATION_MINUTES = 366 * 24 * 60;
const MAX_STEPS = 50;
/** The defaults of the contract and of the decision rule. */
const DEFAULTS = {
  canaryPercent: decimal(10),
  observationPeriodMinutes: 60,
  checkIntervalSeconds: 60,
  promotionCriteria: {
    minPnlRatio: decimal('0.9'),
    maxDrawdownRatio: decimal('1.2'),
    minSharpeRatio: DEFAULT_MIN_SHARPE_RATIO,
    minWinRateRatio: decimal('0.8'),
    minTrades: 5,
    maxErrorRate: decimal('0.1'),
    maxErrorRateRatio: null,
    requirePositivePnl: false,
    pnlBasis: 'RETURN_ON_CAPITAL',
    drawdownFloor: decimal('0.01'),
  },
  evidence: { mode: 'AUTO', alpha: 0.03, minSamples: 20, margin: 0, pairing: 'CHECK' },
  maxLossPercent: decimal(20),
  maxExtensions: 3,
} as const;

const SETTINGS = [
  'canaryPercent',
  'observationPeriodMinutes',
  'autoPromote',
  'autoRollback',
  'promotionCriteria',
  'checkIntervalSeconds',
  'emitEvents',
  'comparison',
  'evidence',
  'guardrails',
  'steps',
  'onInconclusive',
  'maxExtensions',
  'earlyPromote',
  'requireApproval',
  'requireUnrealized',
  'metricsProvider',
  'settlement',
  'rollbackPlan',
  'tradingHours',
  'capitalLeaseSeconds',
] as const satisfies readonly (keyof CanaryConfig)[];

/** Bounds of settings that 0.1 took more widely: configurations it stored keep their values. */
const EVIDENCE_BOUNDS = {
  GIVEN: { alpha: { min: '0.001', max: '0.1' }, minSamples: { min: 10, max: 10_000 } },
  STORED: { alpha: { min: '0.0001', max: '0.2' }, minSamples: { min: 2, max: 1_000_000 } },
} as const;
/** Whether a configuration is given by a caller now, or was stored or exported before. */
export type ConfigOrigin = keyof typeof EVIDENCE_BOUNDS;

/**
 * Reads a configuration, fills in defaults and checks every bound.
 * @param path where the configuration stands in the caller's input, for the paths of violations
 */
export function parseConfig(
  input: CanaryConfigInput | null | undefined = {},
  path: readonly string[] = ['config'],
  origin: ConfigOrigin = 'GIVEN',
): Parsed<CanaryConfig> {
  const read = new Reader();
  const at = (...names: string[]) => [...path, ...names];
  const given = read.fields(path, input, SETTINGS);

  const interval = read.integer(
    at('checkIntervalSeconds'),
    given.checkIntervalSeconds ?? DEFAULTS.checkIntervalSeconds,
    10,
    86_400,
  );
  const { steps, canaryPercent, observationPeriodMinutes } = readRamp(read, given, at);
  if (interval > observationPeriodMinutes * 60) {
    read.refuse(
      at('checkIntervalSeconds'),
      `must not be longer than the observation period (${observationPeriodMinutes * 60} s), got ${interval}`,
    );
  }
  const config: CanaryConfig = {
    canaryPercent,
    observationPeriodMinutes,
    autoPromote: read.flag(at('autoPromote'), given.autoPromote ?? true),
    autoRollback: read.flag(at('autoRollback'), given.autoRollback ?? true),
    promotionCriteria: readCriteria(read, given.promotionCriteria, at),
    checkIntervalSeconds: interval,
    emitEvents: read.flag(at('emitEvents'), given.emitEvents ?? true),
    comparison: read.choice(at('comparison'), given.comparison ?? 'RAW', COMPARISONS),
    evidence: readEvidence(read, given.evidence, origin, at),
    guardrails: readGuardrails(read, given.guardrails, interval, at),
    steps,
    onInconclusive: read.choice(at('onInconclusive'), given.onInconclusive ?? 'WAIT', INCONCLUSIVE_ACTIONS),
    maxExtensions: read.integer(at('maxExtensions'), given.maxExtensions ?? DEFAULTS.maxExtensions, 0, 100),
    earlyPromote: read.flag(at('earlyPromote'), given.earlyPromote ?? false),
    requireApproval: read.flag(at('requireApproval'), given.requireApproval ?? false),
    requireUnrealized: read.flag(at('requireUnrealized'), given.requireUnrealized ?? false),
    metricsProvider: read.name(at('metricsProvider'), given.metricsProvider ?? null),
    settlement: readSettlement(read, given.settlement, at),
    rollbackPlan: readRollbackPlan(read, given.rollbackPlan, at),
    tradingHours: readTradingHours(
      read,
      given.tradingHours,
      { checkIntervalSeconds: interval, observationPeriodMinutes },
      at,
    ),
    capitalLeaseSeconds: readLease(read, given.capitalLeaseSeconds, at),
  };
  checkPairing(read, config, at);
  return read.violations.length > 0
    ? { ok: false, violations: read.violations }
    : { ok: true, value: config };
}

type At = (...names: string[]) => string[];

function readRamp(read: Reader, given: CanaryConfigInput, at: At) {
  if (given.steps) return readSteps(read, given, given.steps, at);
  const canaryPercent = read.decimal(
    at('canaryPercent'),
    given.canaryPercent ?? DEFAULTS.canaryPercent,
    '1',
    '50',
  );
  const observationPeriodMinutes = read.integer(
    at('observationPeriodMinutes'),
    given.observationPeriodMinutes ?? DEFAULTS.observationPeriodMinutes,
    5,
    MAX_OBSERVATION_MINUTES,
  );
  const steps: Step[] = [{ canaryPercent, minutes: observationPeriodMinutes, gate: 'AUTO', minMinutes: 0 }];
  return { steps, canaryPercent, observationPeriodMinutes };
}

function readSteps(read: Reader, input: CanaryConfigInput, listed: readonly StepInput[], at: At) {
  const given = Array.isArray(listed) ? listed : [];
  if (given.length === 0 || given.length > MAX_STEPS) {
    read.refuse(at('steps'), `must be a list of 1 to ${MAX_STEPS} steps, got ${given.length}`);
  }
  const steps: Step[] = [];
  for (const [index, each] of given.entries()) {
    const here = (...names: string[]) => at('steps', String(index), ...names);
    const step = read.fields<StepInput>(here(), each, ['canaryPercent', 'minutes', 'gate', 'minMinutes']);
    const max = index === given.length - 1 ? '100' : '50';
    const canaryPercent = read.decimal(here('canaryPercent'), step.canaryPercent, '1', max);
    const before = steps.at(-1);
    if (before && canaryPercent.lte(before.canaryPercent)) {
      read.refuse(here('canaryPercent'), `must rise from step to step, got ${formatDecimal(canaryPercent)}`);
    }
    const minutes = read.integer(here('minutes'), step.minutes, 1, MAX_OBSERVATION_MINUTES);
    const gate = read.choice(here('gate'), step.gate ?? 'AUTO', STEP_GATES);
    const minMinutes = read.integer(here('minMinutes'), step.minMinutes ?? 0, 0, Math.max(minutes, 0));
    steps.push({ canaryPercent, minutes, gate, minMinutes });
  }
  const total = steps.reduce((sum, step) => sum + step.minutes, 0);
  const first = steps[0]?.canaryPercent ?? DEFAULTS.canaryPercent;
  if (total < 5 || total > MAX_OBSERVATION_MINUTES) {
    read.refuse(
      at('steps'),
      `must last between 5 and ${MAX_OBSERVATION_MINUTES} minutes together, got ${total}`,
    );
  }
  const { canaryPercent: percent, observationPeriodMinutes: minutes } = input;
  if (isGiven(percent) && !read.decimal(at('canaryPercent'), percent, '1', '100').eq(first)) {
    read.refuse(at('canaryPercent'), `must be left out or equal the first step's (${formatDecimal(first)})`);
  }
  if (isGiven(minutes) && minutes !== total) {
    read.refuse(at('observationPeriodMinutes'), `must be left out or equal the sum of the steps (${total})`);
  }
  return { steps, canaryPercent: first, observationPeriodMinutes: total };
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

function readCriteria(
  read: Reader,
  input: CanaryConfigInput['promotionCriteria'],
  at: At,
): PromotionCriteria {
  const d = DEFAULTS.promotionCriteria;
  const here = (...names: string[]) => at('promotionCriteria', ...names);
  const given = read.fields(here(), input, Object.keys(d));
  const limit = (
    name:
      | 'minPnlRatio'
      | 'maxDrawdownRatio'
      | 'minSharpeRatio'
      | 'minWinRateRatio'
      | 'maxErrorRate'
      | 'drawdownFloor',
    max: string,
  ) => read.decimal(here(name), given[name] ?? d[name], '0', max);
  return {
    // Above 2 a threshold would rise as a losing stable side loses more: the rule would turn round.
    minPnlRatio: limit('minPnlRatio', '2'),
    maxDrawdownRatio: limit('maxDrawdownRatio', '1000'),
    minSharpeRatio: limit('minSharpeRatio', '2'),
    minWinRateRatio: limit('minWinRateRatio', '10'),
    minTrades: read.integer(here('minTrades'), given.minTrades ?? d.minTrades, 0, 1_000_000),
    maxErrorRate: limit('maxErrorRate', '1000'),
    maxErrorRateRatio: isGiven(given.maxErrorRateRatio)
      ? read.aboveZero(here('maxErrorRateRatio'), given.maxErrorRateRatio, '1000')
      : d.maxErrorRateRatio,
    requirePositivePnl: read.flag(
      here('requirePositivePnl'),
      given.requirePositivePnl ?? d.requirePositivePnl,
    ),
    pnlBasis: read.choice(here('pnlBasis'), given.pnlBasis ?? d.pnlBasis, PNL_BASES),
    drawdownFloor: limit('drawdownFloor', '1'),
  };
}

function readEvidence(
  read: Reader,
  input: CanaryConfigInput['evidence'],
  origin: ConfigOrigin,
  at: At,
): EvidenceConfig {
  const { alpha, minSamples } = EVIDENCE_BOUNDS[origin];
  const d = DEFAULTS.evidence;
  const here = (...names: string[]) => at('evidence', ...names);
  const given = read.fields(here(), input, Object.keys(d));
  return {
    mode: read.choice(here('mode'), given.mode ?? d.mode, EVIDENCE_MODES),
    // A statistic, not money: it is a double from here on.
    alpha: read.decimal(here('alpha'), given.alpha ?? d.alpha, alpha.min, alpha.max).toNumber(),
    minSamples: read.integer(
      here('minSamples'),
      given.minSamples ?? d.minSamples,
      minSamples.min,
      minSamples.max,
    ),
    margin: read.decimal(here('margin'), given.margin ?? d.margin, '0', '10000').toNumber(),
    pairing: read.choice(here('pairing'), given.pairing ?? d.pairing, PAIRINGS),
  };
}

/** Pairs by signal come from trades of both sides, and a signal has no length of time. */
function checkPairing(read: Reader, { evidence, metricsProvider }: CanaryConfig, at: At): void {
  if (evidence.pairing === 'CHECK') return;
  if (metricsProvider !== null) {
    const message = 'must be CHECK with a metricsProvider: a signal is that of recorded trades';
    read.refuse(at('evidence', 'pairing'), message);
  }
  if (evidence.margin > 0) {
    const message = `must be 0 with the pairing SIGNAL: a signal is no share of a day, got ${evidence.margin}`;
    read.refuse(at('evidence', 'margin'), message);
  }
}

function readGuardrails(
  read: Reader,
  input: GuardrailsInput | null | undefined,
  interval: number,
  at: At,
): GuardrailsConfig {
  const here = (...names: string[]) => at('guardrails', ...names);
  const given = read.fields(here(), input, [...GUARDRAILS, 'breaches']);
  const rows = read.fields(here('breaches'), given.breaches, GUARDRAILS);
  const limit = (name: 'maxLossUsd' | 'maxLossPercent' | 'maxDrawdown' | 'maxErrorRate', max: string) => {
    const fallback = name === 'maxLossPercent' ? DEFAULTS.maxLossPercent : null;
    const value = given[name] === undefined ? fallback : given[name];
    return value === null ? null : read.aboveZero(here(name), value, max);
  };
  const stale = given.maxStaleSeconds === undefined ? STALE_CHECKS * interval : given.maxStaleSeconds;
  const breaches = (name: GuardrailName) => read.integer(here('breaches', name), rows[name] ?? 1, 1, 1000);
  return {
    maxLossUsd: limit('maxLossUsd', '99999999999999999999'),
    maxLossPercent: limit('maxLossPercent', '1000'),
    maxDrawdown: limit('maxDrawdown', '10'),
    maxErrorRate: limit('maxErrorRate', '1000'),
    maxStaleSeconds:
      stale === null ? null : read.integer(here('maxStaleSeconds'), stale, interval, 366 * 86_400),
    breaches: {
      maxLossUsd: breaches('maxLossUsd'),
      maxLossPercent: breaches('maxLossPercent'),
      maxDrawdown: breaches('maxDrawdown'),
      maxErrorRate: breaches('maxErrorRate'),
      maxStaleSeconds: breaches('maxStaleSeconds'),
    },
  };
}
