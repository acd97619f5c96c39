/** What a configuration asks of the server that it is given to. */
import type { CanaryConfigInput } from '../core/config/parseConfig.ts';
import type { Violation } from '../core/values/violation.ts';
import type { App } from './context.ts';

const NOBODY_KNOWN =
  'cannot be: this server is open: it does not know its callers, so it cannot distinguish two people. Set SERIN_AUTH';

/** Settings that this server cannot fulfil, each with its path in the input. */
export function configViolations(
  { providerNames, approvals }: Pick<App, 'providerNames' | 'approvals'>,
  { metricsProvider, requireApproval }: CanaryConfigInput,
): Violation[] {
  const violations: Violation[] = [];
  if (metricsProvider && !providerNames.has(metricsProvider)) {
    const known = [...providerNames].join(', ') || 'none';
    const message = `is not a provider of this server; it has: ${known}`;
    violations.push({ path: ['config', 'metricsProvider'], message });
  }
  if (requireApproval && !approvals.callersKnown) {
    violations.push({ path: ['config', 'requireApproval'], message: NOBODY_KNOWN });
  }
  return violations;
}
