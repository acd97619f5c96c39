/**
 * Micro-batcher: items submitted in the same event-loop turn run as one batch, which shares a transaction, its round
 * trips and its flush to disk. Under load the next batch gathers while earlier ones are in flight.
 */

export interface BatcherOptions<I, O> {
  /** Maximum batch size. */
  readonly maxBatchSize: number;
  /** Maximum concurrent batches. */
  readonly maxConcurrentBatches: number;
  /**
   * Runs a batch. Resolves to a function that returns the result of each item. A result may be a promise that is still
   * pending: the next batch does not wait for it. If `run` rejects, all items of the batch reject.
   */
  readonly run: (items: readonly I[]) => Promise<(item: I) => O | Promise<O>>;
}

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (outcome: O | Promise<O>) => void;
  readonly reject: (error: unknown) => void;
}

/** Returns a function that submits an item and resolves to its result. */
export function createBatcher<I, O>({
  maxBatchSize,
  maxConcurrentBatches,
  run,
}: BatcherOptions<I, O>): (item: I) => Promise<O> {
  const waiting: Waiting<I, O>[] = [];
  /** Whether a start is scheduled for the end of this event-loop turn. */
  let gathering = false;
  let running = 0;

  function start(): void {
    gathering = false;
    while (waiting.length > 0 && running < maxConcurrentBatches)
      void runBatch(waiting.splice(0, maxBatchSize));
  }

  async function runBatch(batch: readonly Waiting<I, O>[]): Promise<void> {
    running += 1;
    try {
      const outcomeOf = await run(batch.map(({ item }) => item));
      for (const { item, resolve } of batch) resolve(outcomeOf(item));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    running -= 1;
    start();
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (gathering) return;
      gathering = true;
      setImmediate(start);
    });
}
