/** How exact the numbers of a chart must be, so that its points differ. */

/** Beside a chart, points that are this part of its height apart are told apart. */
const PARTS = 50;

/** A power of ten that is small beside the distance of all values, zero among them; 1 where they are all zero. */
export function stepOf(lines: readonly (readonly (number | null)[])[]): number {
  let [low, high] = [0, 0];
  for (const value of lines.flat()) {
    low = Math.min(low, value ?? 0);
    high = Math.max(high, value ?? 0);
  }
  return high === low ? 1 : 10 ** Math.floor(Math.log10((high - low) / PARTS));
}
