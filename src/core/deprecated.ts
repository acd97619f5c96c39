/**
 * Former names of what `serin/core` exports, for programs written for 0.1. Each export here is deprecated: use the name
 * to the left of `as`.
 */
export { CallbackDispatcher as Announcer } from './embedding/callbackDispatcher.ts';
export type { Deadline as Patience, FetchMetrics as AskMetrics } from './embedding/metricsProvider.ts';
export {
  CANARY_ONLY_PERCENT as ALL_TO_CANARY,
  STABLE_ONLY_PERCENT as ALL_TO_STABLE,
} from './lifecycle/allocation.ts';
export { impliedDecision as standsFor } from './lifecycle/decide.ts';
export { describeCommand as narrateCommand, describeEvent as narrate } from './lifecycle/describe.ts';
export type { ReturnAccount as ReturnBasis } from './lifecycle/state.ts';
export {
  type RecordedTrade as BookedTrade,
  recordedTradeCodec as bookedTradeCodec,
} from './metrics/trade.ts';
export {
  addTrades as bookAll,
  NO_TRADES as EMPTY_BOOK,
  type TradeStatistics as TradeBook,
} from './metrics/tradeStatistics.ts';
export {
  checkMetricLimits as lookAtMetrics,
  checkSilence as lookAtSilence,
  type GuardrailCheck as GuardrailLook,
} from './rule/guardrails.ts';
export {
  type PolicyTerms as Terms,
  type Resolution as Settled,
  resolveInconclusive as settle,
} from './rule/inconclusive.ts';
export {
  type NumberInput as Numeral,
  parseCount as readCount,
  parseDecimalRounded as readDecimal,
  parseExactDecimal as parseDecimal,
} from './values/decimal.ts';
