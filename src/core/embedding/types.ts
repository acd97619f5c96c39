/** What an embedder gives a deployment and gets back from it: its arguments, its surroundings, its answers. */
import { createHash } from 'node:crypto';
import { type CanaryConfigInput, parseConfig } from '../config/config.ts';
import type { Creation } from '../lifecycle/decide.ts';
import type { DeploymentStatus } from '../lifecycle/status.ts';
import type { CanaryDecision, Comparison } from '../rule/comparison.ts';
import type { Decimal } from '../values/decimal.ts';
import { nameViolations } from '../values/identifiers.ts';
import type { Refusal } from '../values/refusal.ts';
import { describeViolations, type Violation } from '../values/violation.ts';
import type { Callbacks } from './callbackDispatcher.ts';
import type { Clock } from './clock.ts';
import type { FetchMetrics } from './metricsProvider.ts';

/** What the contract calls a deployment's arguments. */
export interface NewCanary {
  readonly strategyId: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly config?: CanaryConfigInput | null | undefined;
  /** The network or venue, `unknown` unless given. */
  readonly chain?: string | undefined;
  /** Made from the names and the time unless given. */
  readonly id?: string | undefined;
}

/** How a deployment lives in its program. */
export interface Embedding extends Callbacks {
  /** Asked for both sides at every check; without it the program reports. */
  readonly metricsProvider?: FetchMetrics | undefined;
  /** How long a check waits for the provider: 10 unless given. */
  readonly providerTimeoutSeconds?: number | undefined;
  /** Whether checks run by the timer from `deployCanary` (or `fromDict`) on; otherwise call `start` or `check`. */
  readonly monitor?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** Who gives a command, and why; for the record. */
export interface By {
  readonly actor?: string | undefined;
  readonly reason?: string | null | undefined;
}

export interface CanaryResult {
  readonly success: boolean;
  /** The decision the command stands for; null when it was refused. */
  readonly decision: CanaryDecision | null;
  readonly comparison: Comparison | null;
  readonly message: string;
  /** Why it was refused, with the way to the field to blame; null when it was done. */
  readonly error: Refusal | null;
  readonly deployment: DeploymentStatus;
}

export interface DeployCanaryResult extends CanaryResult {
  readonly deploymentId: string;
  readonly canaryCapitalUsd: Decimal;
  readonly stableCapitalUsd: Decimal;
}

/** Thrown by the constructor and `fromDict`: what they were given makes no deployment. */
export class InvalidDeployment extends Error {
  override readonly name = 'InvalidDeployment';
  readonly violations: readonly Violation[];

  constructor(violations: readonly Violation[]) {
    super(describeViolations(violations));
    this.violations = violations;
  }
}

/**
 * The first event of a new deployment's log.
 * @throws InvalidDeployment naming every field that breaks a rule
 */
export function readNewCanary(given: NewCanary, now: number): Creation {
  const { strategyId, stableVersionId, canaryVersionId, chain = 'unknown' } = given;
  const id = given.id ?? idOf(given, now);
  const config = parseConfig(given.config);
  const violations = [
    ...nameViolations({ id, strategyId, stableVersionId, canaryVersionId, chain }),
    ...(config.ok ? [] : config.violations),
  ];
  if (stableVersionId === canaryVersionId) {
    violations.push({ path: ['canaryVersionId'], message: 'must differ from the stable version' });
  }
  if (!config.ok || violations.length > 0) throw new InvalidDeployment(violations);
  return { id, strategyId, chain, stableVersionId, canaryVersionId, config: config.value };
}

/** An id like the server's, from what makes the deployment this one. */
function idOf({ strategyId, canaryVersionId, chain = 'unknown' }: NewCanary, now: number): string {
  const names = JSON.stringify([strategyId, canaryVersionId, chain, now]);
  return `dep_${createHash('sha256').update(names).digest('hex').slice(0, 20)}`;
}
