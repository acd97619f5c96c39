/** Signals put together for as long as some work takes. */

/** A signal that is aborted with any of several others, until it is released. */
export interface JoinedSignal {
  readonly signal: AbortSignal;
  /** Leaves nothing of it on the others. */
  release(): void;
}

/**
 * Joins signals of which some live longer than the work. `AbortSignal.any` does the same, but on Node 20 each of its
 * signals stays on those that it was made of, for as long as they live.
 */
export function joinSignals(...sources: readonly AbortSignal[]): JoinedSignal {
  const controller = new AbortController();
  const follow = () => controller.abort(sources.find(({ aborted }) => aborted)?.reason);
  if (sources.some(({ aborted }) => aborted)) follow();
  else for (const source of sources) source.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    release: () => {
      for (const source of sources) source.removeEventListener('abort', follow);
    },
  };
}

/** Runs work under a signal that is aborted with any of these. */
export async function underSignals<T>(
  sources: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, release } = joinSignals(...sources);
  try {
    return await work(signal);
  } finally {
    release();
  }
}
