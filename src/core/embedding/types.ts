/** Types of the embedded API: constructor arguments, options, results. */
import { hash } from 'node:crypto';
import { type CanaryConfigInput, parseConfig } from '../config/parseConfig.ts';
import type { Creation } from '../lifecycle/decide.ts';
import type { FreezeBlock } from '../lifecycle/freeze.ts';
import type { DeploymentStatus } from '../lifecycle/status.ts';
import type { Comparison } from '../rule/comparison.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import type { Decimal } from '../values/decimal.ts';
import { nameViolations } from '../values/identifiers.ts';
import type { Refusal } from '../values/refusal.ts';
import { describeViolations, type Violation } from '../values/violation.ts';
import type { Callbacks } from './callbackDispatcher.ts';
import type { Clock } from './clock.ts';
import type { FetchMetrics } from './metricsProvider.ts';

/** The arguments of a new deployment, as in the contract. */
export interface NewCanary {
  readonly strategyId: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly config?: CanaryConfigInput | null | undefined;
  /** The network or venue. Default: `unknown`. */
  readonly chain?: string | undefined;
  /** Default: derived from the names and the time. */
  readonly id?: string | undefined;
}

/** Options of a deployment inside a program. */
export interface Embedding extends Callbacks {
  /** Called for both sides at every check; without it the program reports. */
  readonly metricsProvider?: FetchMetrics | undefined;
  /** Time limit of the provider, seconds. Default: 10. */
  readonly providerTimeoutSeconds?: number | undefined;
  /** Whether checks run by the timer from `deployCanary` (or `fromDict`) on; if not, call `start` or `check`. */
  readonly monitor?: boolean | undefined;
  readonly clock?: Clock | undefined;
  /**
   * Says until when an act that raises risk is frozen: epoch milliseconds, `Infinity` for as long as it says so, null if it
   * is not. Commands are refused with FROZEN, automatic actions are held. Asked only before such an act, and at
   * each check while one is held. If it throws, the act is frozen.
   */
  readonly freezes?: ((block: FreezeBlock, now: number) => number | null) | undefined;
}

/** Who gives a command, and why: recorded with its events. */
export interface By {
  readonly actor?: string | undefined;
  readonly reason?: string | null | undefined;
  /** Deploy, promote or advance in spite of a freeze; the event says so. */
  readonly overrideFreeze?: boolean | undefined;
}

export interface CanaryResult {
  readonly success: boolean;
  /** The decision that the command implies; null if it was refused. */
  readonly decision: CanaryDecision | null;
  readonly comparison: Comparison | null;
  readonly message: string;
  /** Why it was refused, with the path of the invalid field; null if it was accepted. */
  readonly error: Refusal | null;
  readonly deployment: DeploymentStatus;
  /** A newer report had come before, so that this one changed nothing. */
  readonly stale?: boolean;
}

export interface DeployCanaryResult extends CanaryResult {
  readonly deploymentId: string;
  readonly canaryCapitalUsd: Decimal;
  readonly stableCapitalUsd: Decimal;
}

/** Thrown by the constructor and `fromDict` if their input is invalid. */
export class InvalidDeployment extends Error {
  override readonly name = 'InvalidDeployment';
  readonly violations: readonly Violation[];

  constructor(violations: readonly Violation[]) {
    super(describeViolations(violations));
    this.violations = violations;
  }
}

/**
 * Reads and checks the arguments of a new deployment.
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
  if (config.ok && config.value.evidence.pairing === 'SIGNAL') {
    const message = 'must be CHECK: only the server takes trades, which have the signals';
    violations.push({ path: ['config', 'evidence', 'pairing'], message });
  }
  if (!config.ok || violations.length > 0) throw new InvalidDeployment(violations);
  return { id, strategyId, chain, stableVersionId, canaryVersionId, config: config.value };
}

/** An id in the server's form, derived from the arguments and the time. */
function idOf({ strategyId, canaryVersionId, chain = 'unknown' }: NewCanary, now: number): string {
  const names = JSON.stringify([strategyId, canaryVersionId, chain, now]);
  return `dep_${hash('sha256', names, 'hex').slice(0, 20)}`;
}
