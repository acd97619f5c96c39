/**
 * Warnings about policies, found by simulation when whoever creates a deployment asks for them: creating itself never
 * waits. They follow from the configuration alone, so each distinct policy is tried once in this process.
 */
import type { Logger } from 'pino';
import { type CanaryConfig, configHash } from '../core/config/config.ts';
import { screeningOf, warningOf } from '../core/policy/warning.ts';
import type { Violation } from '../core/values/violation.ts';
import { finished, type Simulator } from './simulator.ts';

/** Policies remembered. */
const MEMORY = 1000;
/** How long an answer may wait. The work is bounded far below this; it is met when the machine is not quiet. */
const SCREENING_TIMEOUT_MS = 10_000;

export interface PolicyWarnings {
  /** What is to be said about a policy; null when it could not be tried: too long, or no time for it now. */
  about(config: CanaryConfig): Promise<readonly Violation[] | null>;
}

export function createPolicyWarnings(simulator: Simulator, log: Logger): PolicyWarnings {
  const known = new Map<string, ReturnType<PolicyWarnings['about']>>();

  async function screen(config: CanaryConfig): Promise<readonly Violation[] | null> {
    const screening = screeningOf(config);
    if (!screening) return null;
    const limit = AbortSignal.timeout(SCREENING_TIMEOUT_MS);
    const job = { ...screening, kinds: ['IDENTICAL'], urgent: true } as const;
    const warning = warningOf(await finished(simulator.run(job, limit)));
    return warning ? [warning] : [];
  }

  return {
    about(config) {
      const hash = configHash(config);
      const before = known.get(hash);
      if (before) return before;
      const found = screen(config).catch((error: unknown) => {
        known.delete(hash);
        log.warn({ error }, 'a policy could not be tried');
        return null;
      });
      known.set(hash, found);
      const [oldest] = known.keys();
      if (known.size > MEMORY && oldest !== undefined) known.delete(oldest);
      return found;
    },
  };
}
