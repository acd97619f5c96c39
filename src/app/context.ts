/** The dependencies of all use cases. */
import type { Logger } from 'pino';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import type { Simulator } from '../simulation/simulator.ts';
import type { PolicyWarnings } from '../simulation/warnings.ts';
import type { HaltAction } from '../store/safety/halts.ts';
import type { ExecutionContext } from './execution/executionContext.ts';
import type { FairShare } from './execution/fairShare.ts';
import type { HeavyReads } from './execution/heavyReads.ts';

export { type Actor, SERIN } from '../access/actor.ts';
export { LaterVersion } from '../store/deployments/deployments.ts';

export interface App extends ExecutionContext {
  /** Names of the metrics providers that are configured on this server. */
  readonly providerNames: ReadonlySet<string>;
  /** Runs simulations in a worker thread. */
  readonly simulator: Simulator;
  readonly policyWarnings: PolicyWarnings;
  /** Why webhooks must not be sent to a URL, as a message that follows the field's name; null if they may. */
  readonly refuseTarget: (url: string) => Promise<string | null>;
  readonly approvals: ApprovalRules;
  readonly heavyReads: HeavyReads;
  readonly fairShare: FairShare;
  readonly log: Logger;
  /** Called with the events that reports, trades, deadlines, and commands of people and bots led to, after their commit. */
  readonly onEvents: (events: readonly CanaryEvent[]) => void;
  /** Called when somebody has begun a halt. */
  readonly onHalt: (action: HaltAction) => void;
}

/** Where a promotion needs two people whatever a deployment says. */
export interface ApprovalRules {
  /** Whether callers are known: on an open server they are not, and two people cannot be distinguished. */
  readonly callersKnown: boolean;
  /** Patterns of the strategies for which this server requires it. */
  readonly strategies: readonly string[];
}
