/** What every use case has at hand. */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import type { Doorbell } from '../store/doorbell.ts';

export interface App {
  readonly db: PostgresJsDatabase;
  readonly doorbell: Doorbell;
  /** Names of the metrics providers that this server has. */
  readonly providerNames: ReadonlySet<string>;
  readonly log: Logger;
}

/** Who asks. */
export interface Actor {
  readonly name: string;
}

/** The actor of what happens by itself. */
export const SERIN: Actor = { name: 'serin' };
