/** Policies tried before they are trusted: simulated on canaries whose worth is known. */
import { type Assumptions, type AssumptionsInput, parseAssumptions } from '../core/assumptions.ts';
import { type CanaryConfig, type CanaryConfigInput, parseConfig } from '../core/config.ts';
import { CANARY_KINDS, type PolicySimulation } from '../core/policySimulation.ts';
import type { Parsed } from '../core/violation.ts';
import type { App } from './app.ts';

/** A policy and what is to be assumed about the strategy. */
export interface PolicyQuestion {
  readonly config: CanaryConfig;
  readonly assumptions: Assumptions;
}

/** Reads a question; the work that it asks for is bounded here. */
export function askPolicy(
  configInput: CanaryConfigInput,
  assumptionsInput: AssumptionsInput,
): Parsed<PolicyQuestion> {
  const config = parseConfig(configInput);
  if (!config.ok) return config;
  const assumptions = parseAssumptions(assumptionsInput, config.value, CANARY_KINDS.length);
  if (!assumptions.ok) return assumptions;
  return { ok: true, value: { config: config.value, assumptions: assumptions.value } };
}

/** Simulates a policy, reporting as it goes: the complete report is the last. */
export function simulatePolicy(
  { simulator }: App,
  { config, assumptions }: PolicyQuestion,
  signal?: AbortSignal,
): AsyncGenerator<PolicySimulation> {
  return simulator.run({ config, assumptions, kinds: CANARY_KINDS }, signal);
}
