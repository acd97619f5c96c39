/** The configuration of a deployment, as it is read and as it is given. */
import {
  type CanaryConfig,
  configHash,
  EVIDENCE_MODES,
  type EvidenceConfig,
  GUARDRAILS,
  type GuardrailsConfig,
  INCONCLUSIVE_ACTIONS,
  PNL_BASES,
  type PromotionCriteria,
  STEP_GATES,
  type Step,
} from '../core/config/config.ts';
import { builder } from './builder.ts';

const PnlBasis = builder.enumType('PnlBasis', {
  description:
    'What profit is measured on: PnL over the capital of each side, or dollars for sides of equal capital.',
  values: PNL_BASES,
});
const EvidenceMode = builder.enumType('EvidenceMode', {
  description:
    'How much the sequential test weighs: AUTO overrules point values from `minSamples` pairs on, REQUIRED also ' +
    'demands proof for promotion, OFF leaves the gates alone.',
  values: EVIDENCE_MODES,
});
const StepGate = builder.enumType('StepGate', {
  description: 'Whether a step of the ramp opens the next one by itself or waits for `advanceStep`.',
  values: STEP_GATES,
});
const InconclusiveAction = builder.enumType('InconclusiveAction', {
  description: 'What the end of the observation does with CONTINUE or MANUAL_REVIEW. It never promotes.',
  values: INCONCLUSIVE_ACTIONS,
});

const criteria = {
  minPnlRatio: 'The canary must earn at least this share of what the stable side earns.',
  maxDrawdownRatio: 'The canary may fall at most this many times as far as the stable side.',
  minSharpeRatio: 'At least this share of the stable Sharpe ratio.',
  minWinRateRatio: 'At least this share of the stable win rate.',
  minTrades: 'Trades of the canary before anything is judged.',
  maxErrorRate: 'Errors over trades, at most.',
  requirePositivePnl: 'Whether the canary must have earned something.',
  pnlBasis: 'What profit is measured on.',
  drawdownFloor: 'A drawdown up to this fraction of capital is never held against the canary.',
};

const PromotionCriteriaType = builder.objectRef<PromotionCriteria>('PromotionCriteria').implement({
  description: 'The thresholds of the gates.',
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
    requirePositivePnl: t.exposeBoolean('requirePositivePnl', { description: criteria.requirePositivePnl }),
    pnlBasis: t.expose('pnlBasis', { type: PnlBasis, description: criteria.pnlBasis }),
    drawdownFloor: t.expose('drawdownFloor', { type: 'Decimal', description: criteria.drawdownFloor }),
  }),
});

const PromotionCriteriaInput = builder.inputType('PromotionCriteriaInput', {
  description: 'The thresholds of the gates; what is left out takes its default.',
  fields: (t) => ({
    minPnlRatio: t.field({ type: 'Decimal', description: `${criteria.minPnlRatio} 0.9 unless given.` }),
    maxDrawdownRatio: t.field({
      type: 'Decimal',
      description: `${criteria.maxDrawdownRatio} 1.2 unless given.`,
    }),
    minSharpeRatio: t.field({ type: 'Decimal', description: `${criteria.minSharpeRatio} 0.8 unless given.` }),
    minWinRateRatio: t.field({
      type: 'Decimal',
      description: `${criteria.minWinRateRatio} 0.8 unless given.`,
    }),
    minTrades: t.int({ description: `${criteria.minTrades} 5 unless given.` }),
    maxErrorRate: t.field({ type: 'Decimal', description: `${criteria.maxErrorRate} 0.1 unless given.` }),
    requirePositivePnl: t.boolean({ description: `${criteria.requirePositivePnl} false unless given.` }),
    pnlBasis: t.field({
      type: PnlBasis,
      description: `${criteria.pnlBasis} RETURN_ON_CAPITAL unless given.`,
    }),
    drawdownFloor: t.field({ type: 'Decimal', description: `${criteria.drawdownFloor} 0.01 unless given.` }),
  }),
});

const evidence = {
  mode: 'How much the sequential test weighs.',
  alpha: 'The error rate of the test, 0.0001 to 0.2.',
  minSamples: 'Informative pairs of samples before the test speaks.',
};

const EvidenceConfigType = builder.objectRef<EvidenceConfig>('EvidenceConfig').implement({
  description: 'Settings of the sequential test.',
  fields: (t) => ({
    mode: t.expose('mode', { type: EvidenceMode, description: evidence.mode }),
    alpha: t.exposeFloat('alpha', { description: evidence.alpha }),
    minSamples: t.exposeInt('minSamples', { description: evidence.minSamples }),
  }),
});

const EvidenceConfigInput = builder.inputType('EvidenceConfigInput', {
  description: 'Settings of the sequential test; what is left out takes its default.',
  fields: (t) => ({
    mode: t.field({ type: EvidenceMode, description: `${evidence.mode} AUTO unless given.` }),
    alpha: t.float({ description: `${evidence.alpha} 0.05 unless given.` }),
    minSamples: t.int({ description: `${evidence.minSamples} 20 unless given.` }),
  }),
});

const guardrails = {
  maxLossUsd: 'Largest net loss of the canary, USD.',
  maxLossPercent: "Largest net loss in percent of the canary's capital.",
  maxDrawdown: 'Largest drawdown of the canary, a fraction of capital.',
  maxErrorRate: 'Largest error rate of the canary, from `minTrades` on.',
  maxStaleSeconds: 'Longest watched time without news of a side; leads to FAILED.',
  breaches: 'How many looks in a row must see a limit broken before it trips.',
};

const GuardrailBreaches = builder.objectRef<GuardrailsConfig['breaches']>('GuardrailBreaches').implement({
  description: guardrails.breaches,
  fields: (t) =>
    Object.fromEntries(
      GUARDRAILS.map((name) => [name, t.exposeInt(name, { description: guardrails[name] })]),
    ),
});

const GuardrailsType = builder.objectRef<GuardrailsConfig>('Guardrails').implement({
  description: 'Absolute limits, looked at on every report and every check. Null where one is switched off.',
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
  description: `${guardrails.breaches} 1 unless given.`,
  fields: (t) => ({
    maxLossUsd: t.int({ description: guardrails.maxLossUsd }),
    maxLossPercent: t.int({ description: guardrails.maxLossPercent }),
    maxDrawdown: t.int({ description: guardrails.maxDrawdown }),
    maxErrorRate: t.int({ description: guardrails.maxErrorRate }),
    maxStaleSeconds: t.int({ description: guardrails.maxStaleSeconds }),
  }),
});

const GuardrailsInput = builder.inputType('GuardrailsInput', {
  description: 'Absolute limits. Left out is the default; null switches a limit off.',
  fields: (t) => ({
    maxLossUsd: t.field({ type: 'Decimal', description: `${guardrails.maxLossUsd} Off unless given.` }),
    maxLossPercent: t.field({
      type: 'Decimal',
      description: `${guardrails.maxLossPercent} 20 unless given.`,
    }),
    maxDrawdown: t.field({ type: 'Decimal', description: `${guardrails.maxDrawdown} Off unless given.` }),
    maxErrorRate: t.field({ type: 'Decimal', description: `${guardrails.maxErrorRate} Off unless given.` }),
    maxStaleSeconds: t.int({ description: `${guardrails.maxStaleSeconds} Five checks unless given.` }),
    breaches: t.field({ type: GuardrailBreachesInput, description: guardrails.breaches }),
  }),
});

const StepType = builder.objectRef<Step>('RampStep').implement({
  description: 'One step of the ramp.',
  fields: (t) => ({
    canaryPercent: t.expose('canaryPercent', {
      type: 'Decimal',
      description: "The canary's share of the capital.",
    }),
    minutes: t.exposeInt('minutes', { description: 'How long the step is observed.' }),
    gate: t.expose('gate', { type: StepGate, description: 'Who opens the way to the next step.' }),
  }),
});

const StepInput = builder.inputType('RampStepInput', {
  description: 'One step of the ramp.',
  fields: (t) => ({
    canaryPercent: t.field({
      type: 'Decimal',
      required: true,
      description: 'Rising from step to step, 1 to 50; the last may go to 100.',
    }),
    minutes: t.int({ required: true, description: 'How long the step is observed.' }),
    gate: t.field({ type: StepGate, description: 'AUTO unless given.' }),
  }),
});

const config = {
  canaryPercent: "The canary's share of the capital in percent, 1 to 50.",
  observationPeriodMinutes: 'How long checks go on before the deployment must be decided, at least 5.',
  autoPromote: 'Whether Serin promotes by itself.',
  autoRollback: 'Whether Serin rolls back by itself.',
  promotionCriteria: 'The thresholds of the gates.',
  checkIntervalSeconds: 'Seconds between two checks, at least 10.',
  emitEvents: 'Whether events appear in the timeline and go to webhooks.',
  evidence: 'Settings of the sequential test.',
  guardrails: 'Absolute limits.',
  steps: 'The ramp; without it `canaryPercent` and `observationPeriodMinutes` are its one step.',
  onInconclusive: 'What the end of the observation does with CONTINUE or MANUAL_REVIEW.',
  maxExtensions: 'How often EXTEND may extend.',
  earlyPromote: 'Whether proof that the canary is not worse ends the observation early.',
  requireApproval:
    'Whether a promotion needs two people: one asks, another approves, both with `promoteCanary`.',
  metricsProvider: 'The provider on the server that metrics are asked from; without it bots report.',
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
    metricsProvider: t.exposeString('metricsProvider', {
      nullable: true,
      description: config.metricsProvider,
    }),
    hash: t.string({
      resolve: configHash,
      description: 'Changes with any setting: names a policy in records.',
    }),
  }),
});

export const CanaryConfigInputType = builder.inputType('CanaryConfigInput', {
  description: 'The configuration of a deployment; what is left out takes its default.',
  fields: (t) => ({
    canaryPercent: t.field({ type: 'Decimal', description: `${config.canaryPercent} 10 unless given.` }),
    observationPeriodMinutes: t.int({ description: `${config.observationPeriodMinutes} 60 unless given.` }),
    autoPromote: t.boolean({ description: `${config.autoPromote} true unless given.` }),
    autoRollback: t.boolean({ description: `${config.autoRollback} true unless given.` }),
    promotionCriteria: t.field({ type: PromotionCriteriaInput, description: config.promotionCriteria }),
    checkIntervalSeconds: t.int({ description: `${config.checkIntervalSeconds} 60 unless given.` }),
    emitEvents: t.boolean({ description: `${config.emitEvents} true unless given.` }),
    evidence: t.field({ type: EvidenceConfigInput, description: config.evidence }),
    guardrails: t.field({ type: GuardrailsInput, description: config.guardrails }),
    steps: t.field({ type: [StepInput], description: config.steps }),
    onInconclusive: t.field({
      type: InconclusiveAction,
      description: `${config.onInconclusive} WAIT unless given.`,
    }),
    maxExtensions: t.int({ description: `${config.maxExtensions} 3 unless given.` }),
    earlyPromote: t.boolean({ description: `${config.earlyPromote} false unless given.` }),
    requireApproval: t.boolean({ description: `${config.requireApproval} false unless given.` }),
    metricsProvider: t.string({ description: config.metricsProvider }),
  }),
});
