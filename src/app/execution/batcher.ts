/**
 * Work of one kind that is ready at the same moment is done together: one transaction, its round trips and its flush to
 * the disk, for all of it. Where there is much of it, the next group gathers while the ones before are under way.
 */

export interface BatcherOptions<I, O> {
  /** As many go together. */
  readonly maxBatchSize: number;
  /** So many groups may be under way at a time. */
  readonly maxConcurrentBatches: number;
  /**
   * Does what is in a group. Answers what came of each, which may still be under way: the next group does not wait for
   * it. When it fails, all of the group fail.
   */
  readonly run: (items: readonly I[]) => Promise<(item: I) => O | Promise<O>>;
}

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (outcome: O | Promise<O>) => void;
  readonly reject: (error: unknown) => void;
}

/** Answers how to have an item done, perhaps together with others. */
export function createBatcher<I, O>({
  maxBatchSize,
  maxConcurrentBatches,
  run,
}: BatcherOptions<I, O>): (item: I) => Promise<O> {
  const waiting: Waiting<I, O>[] = [];
  let gathering = false;
  let running = 0;

  function start(): void {
    gathering = false;
    while (waiting.length > 0 && running < maxConcurrentBatches) void settle(waiting.splice(0, maxBatchSize));
  }

  async function settle(batch: readonly Waiting<I, O>[]): Promise<void> {
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
