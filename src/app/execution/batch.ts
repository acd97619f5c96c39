/**
 * What becomes of a batch that fails: its items run alone, each in a transaction of its own, so that one faulty item
 * fails alone. Every such failure is reported, because it costs throughput.
 */
import { isDatabaseAway } from './databaseAway.ts';
import type { BatchKind, ExecutionContext } from './executionContext.ts';
import { CallerTimedOut } from './transaction.ts';

/**
 * Runs a batch. Returns the result of each item; items without a result run alone. If the batch fails, no item has a
 * result.
 * @throws the error of the batch if the database is away: running each item alone would only add load
 */
export async function runBatch<I, O>(
  app: ExecutionContext,
  kind: BatchKind,
  items: readonly I[],
  run: (items: readonly I[]) => Promise<ReadonlyMap<I, O>>,
): Promise<ReadonlyMap<I, O>> {
  try {
    return await run(items);
  } catch (error) {
    batchFailed(app, kind, items.length, error);
    return new Map();
  }
}

/** Reports a batch that failed. @throws the error if the database is away */
export function batchFailed(app: ExecutionContext, kind: BatchKind, size: number, error: unknown): void {
  // The batch times out with its oldest item; the others still have time.
  if (isDatabaseAway(error) && !(error instanceof CallerTimedOut)) throw error;
  app.onBatchFailure({ kind, size, error });
}
