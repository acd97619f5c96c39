/**
 * Concurrent callers share one run, which starts after all of them have called: what a caller has committed before its
 * call, the run sees.
 */
export function shareUpcoming<T>(run: () => Promise<T>): () => Promise<T> {
  let upcoming: Promise<T> | null = null;
  return () => {
    upcoming ??= new Promise<void>((next) => setImmediate(next)).then(() => {
      upcoming = null;
      return run();
    });
    return upcoming;
  };
}
