/** A deployment's configuration: the type that clients read and the input that they send. */
import {
  type CanaryConfig,
  type COMPARISONS,
  configHash,
  EVIDENCE_MODES,
  type EvidenceConfig,
  GUARDRAILS,
  type GuardrailsConfig,
  INCONCLUSIVE_ACTIONS,
  type Pairing,
  PNL_BASES,
  type PromotionCriteria,
  STEP_GATES,
  type Step,
} from '../core/config/config.ts';
import { builder } from './builder.ts';
import { RollbackPlanInput, RollbackPlanType, SettlementInput, SettlementType } from './capitalConfig.ts';
import { TradingHoursInput, TradingHoursType } from './tradingHours.ts';

const PnlBasis = builder.enumType('PnlBasis', {
  description:
    'How profit is compared: as return on each side’s capital, or in dollars for sides of equal capital.',
  values: PNL_BASES,
});
const EvidenceMode = builder.enumType('EvidenceMode', {
  description:
    'Role of the sequential test: AUTO overrides the point values once there are `minSamples` pairs, REQUIRED also ' +
    'requires proof for a promotion, OFF decides by the gates alone.',
  values: EVIDENCE_MODES,
});
const ComparisonMode = builder.enumType('ComparisonMode', {
  description: 'How the returns of the two sides are compared.',
  values: {
    RAW: { description: 'As they are.' },
    RISK_MATCHED: {
      description:
        "As if the canary ran at the stable version's volatility: for versions of another leverage.",
    },
  } satisfies Record<(typeof COMPARISONS)[number], object>,
});
const StepGate = builder.enumType('StepGate', {
  description:
    'Whether the next step of the ramp starts automatically (AUTO) or waits for `advanceStep` (MANUAL).',
  values: STEP_GATES,
});
const InconclusiveAction = builder.enumType('InconclusiveAction', {
  description: 'What happens if the observation ends with CONTINUE or MANUAL_REVIEW. It never promotes.',
  values: INCONCLUSIVE_ACTIONS,
});

const criteria = {
  minPnlRatio: 'Least profit of the canary, as a multiple of the stable side’s profit.',
  maxDrawdownRatio: 'Largest drawdown of the canary, as a multiple of the stable side’s drawdown.',
  minSharpeRatio: 'Least Sharpe ratio of the canary, as a multiple of the stable side’s.',
  minWinRateRatio: 'Least win rate of the canary, as a multiple of the stable side’s.',
  minTrades: 'Least number of canary trades for a decision.',
  maxErrorRate: 'Largest error rate of the canary (errors / trades).',
  maxErrorRateRatio:
    'Above `maxErrorRate`, the canary may err up to this many times as often as the stable side.',
  requirePositivePnl: 'Whether the canary’s profit must be above zero.',
  pnlBasis: 'How profit is compared.',
  drawdownFloor: 'A drawdown up to this fraction of capital always passes the gate.',
};

const PromotionCriteriaType = builder.objectRef<PromotionCriteria>('PromotionCriteria').implement({
  description: 'Thresholds of the gates.',
  fields: (t) => ({
    minPnlRatio: t.expose('minPnlRatio', { type: 'Decimal', description: criteria.minPnlRatio }),
    maxDrawdownRatio: t.expose('maxDrawdownRatio', {
      type: 'Decimal',
      description: criteria.maxDrawdownRatio,
    }),
    minSharpeRatio: t.expose('minSharpeRatio', { type: 'Decimal', description: criteria.minSharpeRatio }),
    minWinRateRatio: t.expose('minWinRateRatio', { type: 'Decimal', description: criteria.minWinRateRatio }),
    minTrades: t.exposeInt('minTrades', { description: criteria.minTrades }),
    maxErrorRate: t.expose('maxErrorRate', { type: 'Decimal', description: criteria.maxErrorRate }),
    maxErrorRateRatio: t.expose('maxErrorRateRatio', {
      type: 'Decimal',
      nullable: true,
      description: `${criteria.maxErrorRateRatio} Null when it may not.`,
    }),
    requirePositivePnl: t.exposeBoolean('requirePositivePnl', { description: criteria.requirePositivePnl }),
    pnlBasis: t.expose('pnlBasis', { type: PnlBasis, description: criteria.pnlBasis }),
    drawdownFloor: t.expose('drawdownFloor', { type: 'Decimal', description: criteria.drawdownFloor }),
  }),
});

const PromotionCriteriaInput = builder.inputType('PromotionCriteriaInput', {
  description: 'Thresholds of the gates; every field has a default.',
  fields: (t) => ({
    minPnlRatio: t.field({ type: 'Decimal', description: `${criteria.minPnlRatio} Default: 0.9.` }),
    maxDrawdownRatio: t.field({
      type: 'Decimal',
      description: `${criteria.maxDrawdownRatio} Default: 1.2.`,
    }),
    minSharpeRatio: t.field({ type: 'Decimal', description: `${criteria.minSharpeRatio} Default: 0.8.` }),
    minWinRateRatio: t.field({
      type: 'Decimal',
      description: `${criteria.minWinRateRatio} Default: 0.8.`,
    }),
    minTrades: t.int({ description: `${criteria.minTrades} Default: 5.` }),
    maxErrorRate: t.field({ type: 'Decimal', description: `${criteria.maxErrorRate} Default: 0.1.` }),
    maxErrorRateRatio: t.field({
      type: 'Decimal',
      description: `${criteria.maxErrorRateRatio} Default: it may not.`,
    }),
    requirePositivePnl: t.boolean({ description: `${criteria.requirePositivePnl} Default: false.` }),
    pnlBasis: t.field({
      type: PnlBasis,
      description: `${criteria.pnlBasis} Default: RETURN_ON_CAPITAL.`,
    }),
    drawdownFloor: t.field({ type: 'Decimal', description: `${criteria.drawdownFloor} Default: 0.01.` }),
  }),
});

const evidence = {
  mode: 'Role of the sequential test.',
  alpha: 'The error rate of the test, 0.001 to 0.1.',
  minSamples: 'Least number of effective pairs of samples for a verdict of the intervals, 10 to 10,000.',
  margin: 'What the canary may be worse by and still be good enough, in basis points of capital a day.',
  pairing: 'What a pair of returns is. SIGNAL needs trades of both sides (`recordTrades`) and a margin of 0.',
};

const PairingType = builder.enumType('Pairing', {
  description: 'What a pair of returns is.',
  values: {
    CHECK: { description: 'Both sides over the time between two checks.' },
    SIGNAL: { description: 'Both sides on the same signal: trades with the same `signalId`.' },
  } satisfies Record<Pairing, object>,
});

const EvidenceConfigType = builder.objectRef<EvidenceConfig>('EvidenceConfig').implement({
  description: 'Settings of the sequential test.',
  fields: (t) => ({
    mode: t.expose('mode', { type: EvidenceMode, description: evidence.mode }),
    alpha: t.exposeFloat('alpha', { description: evidence.alpha }),
    minSamples: t.exposeInt('minSamples', { description: evidence.minSamples }),
    margin: t.exposeFloat('margin', { description: evidence.margin }),
    pairing: t.expose('pairing', { type: PairingType, description: evidence.pairing }),
  }),
});

const EvidenceConfigInput = builder.inputType('EvidenceConfigInput', {
  description: 'Settings of the sequential test; every field has a default.',
  fields: (t) => ({
    mode: t.field({ type: EvidenceMode, description: `${evidence.mode} Default: AUTO.` }),
    alpha: t.float({ description: `${evidence.alpha} Default: 0.03.` }),
    minSamples: t.int({ description: `${evidence.minSamples} Default: 20.` }),
    margin: t.float({ description: `${evidence.margin} Default: 0.` }),
    pairing: t.field({ type: PairingType, description: `${evidence.pairing} Default: CHECK.` }),
  }),
});

const guardrails = {
  maxLossUsd: 'Largest net loss of the canary, USD.',
  maxLossPercent: "Largest net loss in percent of the canary's capital.",
  maxDrawdown: 'Largest drawdown of the canary, a fraction of capital.',
  maxErrorRate: 'Largest error rate of the canary, checked from `minTrades` trades on.',
  maxStaleSeconds:
    'Longest watched time without new metrics of a side, in seconds; then the deployment is FAILED.',
  breaches: 'Consecutive checks that must exceed the limit before it trips.',
};

const GuardrailBreaches = builder.objectRef<GuardrailsConfig['breaches']>('GuardrailBreaches').implement({
  description: guardrails.breaches,
  fields: (t) =>
    Object.fromEntries(
      GUARDRAILS.map((name) => [name, t.exposeInt(name, { description: guardrails[name] })]),
    ),
});

const GuardrailsType = builder.objectRef<GuardrailsConfig>('Guardrails').implement({
  description: 'Absolute limits, evaluated on every report and every check. Null if a limit is switched off.',
  fields: (t) => ({
    maxLossUsd: t.expose('maxLossUsd', {
      type: 'Decimal',
      nullable: true,
      description: guardrails.maxLossUsd,
    }),
    maxLossPercent: t.expose('maxLossPercent', {
      type: 'Decimal',
      nullable: true,
      description: guardrails.maxLossPercent,
    }),
    maxDrawdown: t.expose('maxDrawdown', {
      type: 'Decimal',
      nullable: true,
      description: guardrails.maxDrawdown,
    }),
    maxErrorRate: t.expose('maxErrorRate', {
      type: 'Decimal',
      nullable: true,
      description: guardrails.maxErrorRate,
    }),
    maxStaleSeconds: t.exposeInt('maxStaleSeconds', {
      nullable: true,
      description: guardrails.maxStaleSeconds,
    }),
    breaches: t.expose('breaches', { type: GuardrailBreaches, description: guardrails.breaches }),
  }),
});

const GuardrailBreachesInput = builder.inputType('GuardrailBreachesInput', {
  description: `${guardrails.breaches} Default: 1.`,
  fields: (t) => ({
    maxLossUsd: t.int({ description: guardrails.maxLossUsd }),
    maxLossPercent: t.int({ description: guardrails.maxLossPercent }),
    maxDrawdown: t.int({ description: guardrails.maxDrawdown }),
    maxErrorRate: t.int({ description: guardrails.maxErrorRate }),
    maxStaleSeconds: t.int({ description: guardrails.maxStaleSeconds }),
  }),
});

const GuardrailsInput = builder.inputType('GuardrailsInput', {
  description: 'Absolute limits. An omitted limit has its default; null switches it off.',
  fields: (t) => ({
    maxLossUsd: t.field({ type: 'Decimal', description: `${guardrails.maxLossUsd} Default: Off.` }),
    maxLossPercent: t.field({
      type: 'Decimal',
      description: `${guardrails.maxLossPercent} Default: 20.`,
    }),
    maxDrawdown: t.field({ type: 'Decimal', description: `${guardrails.maxDrawdown} Default: Off.` }),
    maxErrorRate: t.field({ type: 'Decimal', description: `${guardrails.maxErrorRate} Default: Off.` }),
    maxStaleSeconds: t.int({ description: `${guardrails.maxStaleSeconds} Default: five check intervals.` }),
    breaches: t.field({ type: GuardrailBreachesInput, description: guardrails.breaches }),
  }),
});

const StepType = builder.objectRef<Step>('RampStep').implement({
  description: 'One step of the ramp.',
  fields: (t) => ({
    canaryPercent: t.expose('canaryPercent', {
      type: 'Decimal',
      description: "The canary's share of the capital, in percent.",
    }),
    minutes: t.exposeInt('minutes', { description: 'Observation time of the step, in minutes.' }),
    minMinutes: t.exposeInt('minMinutes', {
      description: 'Least minutes before evidence may end the step early.',
    }),
    gate: t.expose('gate', { type: StepGate, description: 'How the next step starts.' }),
  }),
});

const StepInput = builder.inputType('RampStepInput', {
  description: 'One step of the ramp.',
  fields: (t) => ({
    canaryPercent: t.field({
      type: 'Decimal',
      required: true,
      description:
        'Canary’s share of the capital in percent: increasing, 1 to 50; the last step may go to 100.',
    }),
    minutes: t.int({ required: true, description: 'Observation time of the step, in minutes.' }),
    minMinutes: t.int({ description: 'Least minutes before evidence may end the step early. Default: 0.' }),
    gate: t.field({ type: StepGate, description: 'Default: AUTO.' }),
  }),
});

const config = {
  canaryPercent: "The canary's share of the capital in percent, 1 to 50.",
  observationPeriodMinutes:
    'Observation period in minutes, at least 5. The deployment must be decided at its end.',
  autoPromote: 'Whether Serin promotes automatically.',
  autoRollback: 'Whether Serin rolls back automatically.',
  promotionCriteria: 'Thresholds of the gates.',
  checkIntervalSeconds: 'Seconds between checks, at least 10.',
  emitEvents: 'Whether events appear in the timeline and are sent to webhooks.',
  comparison: 'How the returns of the two sides are compared.',
  evidence: 'Settings of the sequential test.',
  guardrails: 'Absolute limits.',
  steps: 'Steps of the ramp. If omitted, `canaryPercent` and `observationPeriodMinutes` make one step.',
  onInconclusive: 'What happens if the observation ends with CONTINUE or MANUAL_REVIEW.',
  maxExtensions: 'How many times `onInconclusive: EXTEND` may extend the observation.',
  earlyPromote: 'Whether the observation ends early once it is proven that the canary is not worse.',
  requireApproval:
    'Whether a promotion needs two people: one requests it, another approves it, both with `promoteCanary`.',
  requireUnrealized:
    'Whether both sides must have reported `unrealizedPnlUsd` for a promotion. Without it the comparison ends in ' +
    'MANUAL_REVIEW, in every `evidence.mode`: a canary that never closes its losers looks good.',
  metricsProvider:
    'Name of the server’s metrics provider that measures the sides. If omitted, bots report the metrics.',
  settlement: 'When an allocation is carried out, and for how long that may take.',
  rollbackPlan: 'What bots do with open positions: every allocation that lowers a side carries it.',
  tradingHours:
    'When the market is open. Outside of these hours there are no checks, no observation time, no silence and no pair of ' +
    'returns; minutes and deadlines count time within them. Guardrails on reports stay active.',
  capitalLeaseSeconds:
    'How long the canary may hold capital without a request of its bot that Serin answers, 10 to 604,800 seconds. Then the ' +
    'bot stands down automatically, and the deployment fails.',
};

export const CanaryConfigType = builder.objectRef<CanaryConfig>('CanaryConfig').implement({
  description: 'The configuration of a deployment.',
  fields: (t) => ({
    canaryPercent: t.expose('canaryPercent', { type: 'Decimal', description: config.canaryPercent }),
    observationPeriodMinutes: t.exposeInt('observationPeriodMinutes', {
      description: config.observationPeriodMinutes,
    }),
    autoPromote: t.exposeBoolean('autoPromote', { description: config.autoPromote }),
    autoRollback: t.exposeBoolean('autoRollback', { description: config.autoRollback }),
    promotionCriteria: t.expose('promotionCriteria', {
      type: PromotionCriteriaType,
      description: config.promotionCriteria,
    }),
    checkIntervalSeconds: t.exposeInt('checkIntervalSeconds', { description: config.checkIntervalSeconds }),
    emitEvents: t.exposeBoolean('emitEvents', { description: config.emitEvents }),
    comparison: t.expose('comparison', { type: ComparisonMode, description: config.comparison }),
    evidence: t.expose('evidence', { type: EvidenceConfigType, description: config.evidence }),
    guardrails: t.expose('guardrails', { type: GuardrailsType, description: config.guardrails }),
    steps: t.field({ type: [StepType], resolve: ({ steps }) => [...steps], description: config.steps }),
    onInconclusive: t.expose('onInconclusive', {
      type: InconclusiveAction,
      description: config.onInconclusive,
    }),
    maxExtensions: t.exposeInt('maxExtensions', { description: config.maxExtensions }),
    earlyPromote: t.exposeBoolean('earlyPromote', { description: config.earlyPromote }),
    requireApproval: t.exposeBoolean('requireApproval', { description: config.requireApproval }),
    requireUnrealized: t.exposeBoolean('requireUnrealized', { description: config.requireUnrealized }),
    metricsProvider: t.exposeString('metricsProvider', {
      nullable: true,
      description: config.metricsProvider,
    }),
    settlement: t.expose('settlement', {
      type: SettlementType,
      nullable: true,
      description: `${config.settlement} Null: 0.5 percent and 300 seconds, for sides that acknowledge allocations.`,
    }),
    rollbackPlan: t.expose('rollbackPlan', {
      type: RollbackPlanType,
      nullable: true,
      description: config.rollbackPlan,
    }),
    tradingHours: t.expose('tradingHours', {
      type: TradingHoursType,
      nullable: true,
      description: `${config.tradingHours} Null: the market never closes.`,
    }),
    capitalLeaseSeconds: t.exposeInt('capitalLeaseSeconds', {
      nullable: true,
      description: config.capitalLeaseSeconds,
    }),
    hash: t.string({
      resolve: configHash,
      description: 'Hash of all settings; identifies the policy in records.',
    }),
  }),
});

export const CanaryConfigInputType = builder.inputType('CanaryConfigInput', {
  description: 'The configuration of a deployment; every field has a default.',
  fields: (t) => ({
    canaryPercent: t.field({ type: 'Decimal', description: `${config.canaryPercent} Default: 10.` }),
    observationPeriodMinutes: t.int({ description: `${config.observationPeriodMinutes} Default: 60.` }),
    autoPromote: t.boolean({ description: `${config.autoPromote} Default: true.` }),
    autoRollback: t.boolean({ description: `${config.autoRollback} Default: true.` }),
    promotionCriteria: t.field({ type: PromotionCriteriaInput, description: config.promotionCriteria }),
    checkIntervalSeconds: t.int({ description: `${config.checkIntervalSeconds} Default: 60.` }),
    emitEvents: t.boolean({ description: `${config.emitEvents} Default: true.` }),
    comparison: t.field({ type: ComparisonMode, description: `${config.comparison} Default: RAW.` }),
    evidence: t.field({ type: EvidenceConfigInput, description: config.evidence }),
    guardrails: t.field({ type: GuardrailsInput, description: config.guardrails }),
    steps: t.field({ type: [StepInput], description: config.steps }),
    onInconclusive: t.field({
      type: InconclusiveAction,
      description: `${config.onInconclusive} Default: WAIT.`,
    }),
    maxExtensions: t.int({ description: `${config.maxExtensions} Default: 3.` }),
    earlyPromote: t.boolean({ description: `${config.earlyPromote} Default: false.` }),
    requireApproval: t.boolean({ description: `${config.requireApproval} Default: false.` }),
    requireUnrealized: t.boolean({ description: `${config.requireUnrealized} Default: false.` }),
    metricsProvider: t.string({ description: config.metricsProvider }),
    settlement: t.field({
      type: SettlementInput,
      description: `${config.settlement} If omitted, its defaults apply to the sides that acknowledge allocations.`,
    }),
    rollbackPlan: t.field({ type: RollbackPlanInput, description: `${config.rollbackPlan} Default: none.` }),
    tradingHours: t.field({
      type: TradingHoursInput,
      description: `${config.tradingHours} Default: the market never closes.`,
    }),
    capitalLeaseSeconds: t.int({ description: `${config.capitalLeaseSeconds} Default: no lease.` }),
  }),
});
