/** What decisions change, gathered and written together: one statement of each kind, for however many deployments. */

import { appendEvents, type NewEntry } from '../log/eventLog.ts';
import { insertSamples, type TakenSample } from '../log/samples.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import { type Saved, saveDeployments } from './deployments.ts';

export interface UnitOfWork {
  /** By deployment: what was decided last. */
  readonly saved: Map<string, Saved>;
  readonly entries: NewEntry[];
  readonly samples: TakenSample[];
}

export const createUnitOfWork = (): UnitOfWork => ({ saved: new Map(), entries: [], samples: [] });

/** Writes all of it. The rows are locked by the transaction. */
export async function flush(tx: LogWriteTransaction, { saved, entries, samples }: UnitOfWork): Promise<void> {
  // Sent together: none waits for the answer to the one before.
  await Promise.all([
    saveDeployments(tx, [...saved.values()]),
    appendEvents(tx, entries),
    insertSamples(tx, samples),
  ]);
}
