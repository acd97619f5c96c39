/** Unit of work: collects the changes of many commands and writes them in one statement per table. */
import { appendEvents, type NewEntry } from '../log/eventLog.ts';
import { insertSamples, type TakenSample } from '../log/samples.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import { type Saved, saveDeployments } from './deployments.ts';

export interface UnitOfWork {
  /** The last state of each changed deployment, by id. */
  readonly saved: Map<string, Saved>;
  readonly entries: NewEntry[];
  readonly samples: TakenSample[];
}

export const createUnitOfWork = (): UnitOfWork => ({ saved: new Map(), entries: [], samples: [] });

/** Writes all changes. The transaction must have locked the rows. */
export async function flush(tx: LogWriteTransaction, { saved, entries, samples }: UnitOfWork): Promise<void> {
  // Pipelined: no statement waits for the result of the one before.
  await Promise.all([
    saveDeployments(tx, [...saved.values()]),
    appendEvents(tx, entries),
    insertSamples(tx, samples),
  ]);
}
