/** What every use case has at hand. */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import type { Simulator } from '../simulation/simulator.ts';
import type { PolicyWarnings } from '../simulation/warnings.ts';
import type { Doorbell } from '../store/doorbell.ts';

export { type Actor, SERIN } from '../access/actor.ts';

export interface App {
  readonly db: PostgresJsDatabase;
  readonly doorbell: Doorbell;
  /** Names of the metrics providers that this server has. */
  readonly providerNames: ReadonlySet<string>;
  /** Simulations, in a thread of their own. */
  readonly simulator: Simulator;
  readonly policyWarnings: PolicyWarnings;
  readonly log: Logger;
}
