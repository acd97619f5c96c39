/** The engine of Serin, for embedding: the same functions that the server runs on, without any I/O. */

export * from './config/capital.ts';
export * from './config/classify.ts';
export * from './config/config.ts';
export * from './config/parseConfig.ts';
export * from './config/patch.ts';
export * from './deprecated.ts';
export * from './document/document.ts';
export * from './embedding/callbackDispatcher.ts';
export * from './embedding/canaryDeployment.ts';
export * from './embedding/clock.ts';
export * from './embedding/metricsProvider.ts';
export * from './embedding/types.ts';
export * from './lifecycle/allocation.ts';
export * from './lifecycle/command.ts';
export { type ConfigPreview, openConfigRequest, previewConfig } from './lifecycle/configUpdate.ts';
export * from './lifecycle/decide.ts';
export * from './lifecycle/describe.ts';
export * from './lifecycle/events.ts';
export * from './lifecycle/evolve.ts';
export type { ActiveFreeze, FreezeBlock, FreezeFacts, Hold } from './lifecycle/freeze.ts';
export * from './lifecycle/handle.ts';
export * from './lifecycle/recompute.ts';
export type { ApprovalRequest, Person } from './lifecycle/secondPerson.ts';
export * from './lifecycle/state.ts';
export * from './lifecycle/status.ts';
export * from './metrics/report.ts';
export * from './metrics/sideMetrics.ts';
export * from './metrics/trade.ts';
export * from './metrics/tradeStatistics.ts';
export * from './policy/assumptions.ts';
export * from './policy/replay.ts';
export * from './policy/simulation.ts';
export * from './rule/comparison.ts';
export type { Interval } from './rule/confidenceSequence.ts';
export * from './rule/evidenceFigures.ts';
export * from './rule/gate.ts';
export * from './rule/guardrails.ts';
export * from './rule/inconclusive.ts';
export * from './rule/sequentialTest.ts';
// The test of the first version of the rule, under the names it had.
export {
  addPair,
  confidenceInterval,
  type EvidenceSums,
  judge,
  NO_EVIDENCE,
  type RunningSums,
} from './rule/version1/evidence.ts';
export * from './values/decimal.ts';
export * from './values/identifiers.ts';
export * from './values/refusal.ts';
export * from './values/side.ts';
export * from './values/violation.ts';
