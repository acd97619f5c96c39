/** The schedule of retries: short intervals first, then longer ones, for a day. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const STEPS = [5 * SECOND, 30 * SECOND, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR];
const LONGEST = 4 * HOUR;
/** Upper bound of a receiver's `Retry-After`. */
const LONGEST_RETRY_AFTER = HOUR;

/**
 * Milliseconds to the next attempt, with 20 % jitter so that deliveries do not retry simultaneously.
 * @param tries failed attempts before this one
 * @param retryAfterSeconds the receiver's `Retry-After`; null if there was none
 */
export function backoffMs(tries: number, retryAfterSeconds: number | null): number {
  const step = STEPS[tries] ?? LONGEST;
  const requested =
    retryAfterSeconds === null ? 0 : Math.min(retryAfterSeconds * SECOND, LONGEST_RETRY_AFTER);
  // Never earlier than the receiver requested.
  return Math.round(Math.max(step * (0.8 + Math.random() * 0.4), requested * (1 + Math.random() * 0.2)));
}
