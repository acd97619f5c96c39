/** When a delivery that failed is tried again: soon at first, then ever more rarely, for a day. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const STEPS = [5 * SECOND, 30 * SECOND, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR];
const LONGEST = 4 * HOUR;
/** The most that a receiver can ask us to wait. */
const LONGEST_ASKED = HOUR;

/**
 * Milliseconds to the next try, spread by a fifth so that many do not come back at once.
 * @param tries how many have failed before this one
 * @param askedSeconds what the receiver asked for in `Retry-After`
 */
export function backoffMs(tries: number, askedSeconds: number | null): number {
  const step = STEPS[tries] ?? LONGEST;
  const asked = askedSeconds === null ? 0 : Math.min(askedSeconds * SECOND, LONGEST_ASKED);
  return Math.round(Math.max(step, asked) * (0.8 + Math.random() * 0.4));
}
