/** How long a loop sleeps between two polls for what is due. */

/** The shortest sleep, real milliseconds: what becomes due meanwhile is done together. */
const SHORTEST_MS = 5;
/** The same where something is overdue that could not be taken: another transaction holds it. */
const HELD_MS = 25;

/**
 * Real milliseconds until the next poll.
 * @param due until the next is due, at most 0 if it is overdue; null if nothing will be
 * @param maxMs upper bound, so that what other nodes schedule is noticed in time
 */
export function sleepUntilDue(due: number | null, maxMs: number): number {
  const shortest = due !== null && due <= 0 ? HELD_MS : SHORTEST_MS;
  return Math.max(shortest, Math.min(due ?? maxMs, maxMs));
}
