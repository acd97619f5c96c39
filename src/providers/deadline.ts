/** Runs work with a time limit, until it ends, times out, or its caller aborts it. */

/** The time limit was exceeded. The message follows the name of what was awaited. */
export class TooSlow extends Error {
  constructor(milliseconds: number) {
    super(`did not answer in full within ${milliseconds} ms`);
  }
}

/**
 * Runs work under a signal that aborts after `milliseconds`, or when `parent` aborts.
 * Unlike `AbortSignal.any`, it leaves no listener on a parent that lives as long as the process.
 * @throws what the work throws; after an abort its reason: a {@link TooSlow}, or the reason of `parent`
 */
export async function withDeadline<T>(
  parent: AbortSignal,
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const follow = () => controller.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  const timer = setTimeout(() => controller.abort(new TooSlow(milliseconds)), milliseconds);
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    parent.removeEventListener('abort', follow);
  }
}

/** Waits, or returns early when the signal aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
  });
}
