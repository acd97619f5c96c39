/** What every use case has at hand. */
import type { Logger } from 'pino';
import type { Simulator } from '../simulation/simulator.ts';
import type { PolicyWarnings } from '../simulation/warnings.ts';
import type { ExecutionContext } from './execution/executionContext.ts';

export { type Actor, SERIN } from '../access/actor.ts';

export interface App extends ExecutionContext {
  /** Names of the metrics providers that this server has. */
  readonly providerNames: ReadonlySet<string>;
  /** Simulations, in a thread of their own. */
  readonly simulator: Simulator;
  readonly policyWarnings: PolicyWarnings;
  /** Why a webhook may not be sent to a URL, in words that follow the field's name; null when it may. */
  readonly refuseTarget: (url: string) => Promise<string | null>;
  readonly log: Logger;
}
