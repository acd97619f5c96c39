/** What the execution of a use case needs: the database, the notifier, and the queue of work per deployment. */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Notifier } from '../../store/postgres/notifier.ts';
import type { CommandQuota } from './commandQuota.ts';
import type { DeploymentQueue } from './deploymentQueue.ts';
import type { RefusalAudit } from './refusalAudit.ts';
import type { RefusalQuota } from './refusalQuota.ts';

/** A batch that failed; its items run alone. */
export interface BatchFailure {
  readonly kind: BatchKind;
  /** The number of its items. */
  readonly size: number;
  readonly error: unknown;
}

/** What a batch consists of. */
export const BATCH_KINDS = ['commands', 'checks', 'deadlines'] as const;
export type BatchKind = (typeof BATCH_KINDS)[number];

export interface ExecutionContext {
  readonly db: PostgresJsDatabase;
  readonly notifier: Notifier;
  /** The latest form of stored data that every node on this database can read. */
  readonly form: () => number;
  /** Serialises work that waits for a deployment's lock. */
  readonly inDeploymentOrder: DeploymentQueue;
  readonly refusalQuota: RefusalQuota;
  readonly commandQuota: CommandQuota;
  readonly refusalAudit: RefusalAudit;
  /** Called when a batch has failed. */
  readonly onBatchFailure: (failure: BatchFailure) => void;
}
