/** What executing a use case needs: the database, the notifier, and the queue of work per deployment. */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Notifier } from '../../store/postgres/notifier.ts';
import type { DeploymentQueue } from './deploymentQueue.ts';

export interface ExecutionContext {
  readonly db: PostgresJsDatabase;
  readonly notifier: Notifier;
  /** Serialises work that waits for a deployment's lock. */
  readonly inDeploymentOrder: DeploymentQueue;
}
