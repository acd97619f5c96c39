/** How long a loop sleeps that looks for what is due. */

/** Between two looks, real milliseconds: what falls into it is done together. */
const LEAST_MS = 5;
/** The same where something is overdue that could not be taken: another transaction holds it. */
const HELD_MS = 25;

/**
 * Real milliseconds until the next look.
 * @param due until the next is due, at most 0 if it is overdue; null if nothing will be
 * @param maxMs upper bound, so that what other nodes schedule is noticed in time
 */
export function sleepUntilDue(due: number | null, maxMs: number): number {
  const least = due !== null && due <= 0 ? HELD_MS : LEAST_MS;
  return Math.max(least, Math.min(due ?? maxMs, maxMs));
}
