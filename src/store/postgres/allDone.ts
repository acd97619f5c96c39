/** Concurrent statements of one transaction. */

/** Waits for all parts of a transaction's work, so that none is still in flight when it ends; throws if one failed. */
export async function allDone<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  return (await Promise.allSettled(parts)).map((part) => {
    if (part.status === 'rejected') throw part.reason;
    return part.value;
  });
}
