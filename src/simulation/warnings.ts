/**
 * Warnings about policies, computed and found by simulation when a caller selects them; creating a deployment never
 * waits for them.
 * They depend on the configuration alone, so each distinct policy is simulated once per process.
 */
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { type CanaryConfig, configHash } from '../core/config/config.ts';
import { testLimits } from '../core/policy/testLimits.ts';
import { screeningOf, warningOf } from '../core/policy/warning.ts';
import type { Violation } from '../core/values/violation.ts';
import { finished, type Simulator } from './simulator.ts';

/** Maximum policies in the cache. */
const MEMORY = 1000;
/** Time limit of a response. The work takes far less; only a busy machine reaches this. */
const SCREENING_TIMEOUT_MS = 10_000;

export interface PolicyWarnings {
  /** The warnings about a policy; null if there is none and it could not be simulated in time. */
  about(config: CanaryConfig): Promise<readonly Violation[] | null>;
}

/** @param timeoutMs how long an answer waits for the simulation */
export function createPolicyWarnings(
  simulator: Simulator,
  log: Logger,
  timeoutMs: number = SCREENING_TIMEOUT_MS,
): PolicyWarnings {
  const known = new Map<string, ReturnType<PolicyWarnings['about']>>();

  /** Of policies that are not cached; each takes a fraction of a second. */
  const oneAfterTheOther = pLimit(1);

  async function screen(config: CanaryConfig, limit: AbortSignal): Promise<readonly Violation[] | null> {
    const screening = screeningOf(config);
    if (!screening) return null;
    const job = { ...screening, kinds: ['IDENTICAL'], caller: 'warnings', urgent: true } as const;
    const warning = warningOf(await finished(simulator.run(job, limit)));
    return warning ? [warning] : [];
  }

  return {
    about(config) {
      const hash = configHash(config);
      const before = known.get(hash);
      if (before) return before;
      // Waiting for others counts.
      const limit = AbortSignal.timeout(timeoutMs);
      const found = oneAfterTheOther(() => screen(config, limit))
        .catch((error: unknown) => {
          known.delete(hash);
          log.warn({ error }, 'a policy could not be simulated for its warnings');
          return null;
        })
        .then((screened) => {
          const limits = testLimits(config);
          return screened || limits.length > 0 ? [...(screened ?? []), ...limits] : null;
        });
      known.set(hash, found);
      const [oldest] = known.keys();
      if (known.size > MEMORY && oldest !== undefined) known.delete(oldest);
      return found;
    },
  };
}
