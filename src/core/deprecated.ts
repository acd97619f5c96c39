/**
 * Former names of what `serin/core` exports, for programs written for 0.1. Each export here is deprecated: use the name
 * to the left of `as`.
 */
import { type NewCanary, readNewCanary } from './embedding/types.ts';
import { create } from './lifecycle/decide.ts';
import { type CanaryEvent, type EventBody, isObservation } from './lifecycle/events.ts';
import { evolve } from './lifecycle/evolve.ts';
import type { DeploymentState } from './lifecycle/state.ts';
import { RULE } from './rule/ruleVersion.ts';

export { CallbackDispatcher as Announcer } from './embedding/callbackDispatcher.ts';
export type { Deadline as Patience, FetchMetrics as AskMetrics } from './embedding/metricsProvider.ts';
export {
  CANARY_ONLY_PERCENT as ALL_TO_CANARY,
  STABLE_ONLY_PERCENT as ALL_TO_STABLE,
} from './lifecycle/allocation.ts';
export { impliedDecision as standsFor } from './lifecycle/decide.ts';
export { describeCommand as narrateCommand, describeEvent as narrate } from './lifecycle/describe.ts';
export type { ApprovalRequest as PromotionRequest } from './lifecycle/secondPerson.ts';
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

/** @deprecated Use `handle` and `begin`, which decide and record in one step. */
export function record(
  before: DeploymentState | null,
  bodies: readonly EventBody[],
  by: { readonly at: number; readonly actor: string },
): { readonly state: DeploymentState | null; readonly events: readonly CanaryEvent[] } {
  const revision = (before?.revision ?? 0) + (bodies.every(isObservation) ? 0 : 1);
  const first = (before?.eventCount ?? 0) + 1;
  const events = bodies.map((body, index): CanaryEvent => ({ ...body, ...by, no: first + index, revision }));
  return { state: events.reduce<DeploymentState | null>(evolve, before), events };
}

/** @deprecated Use `begin`, or construct a `CanaryDeployment`. Throws InvalidDeployment. */
export const createCanary = (given: NewCanary, now: number): EventBody =>
  create(readNewCanary(given, now), RULE);
