/** Conversion of rows in pieces: a page takes milliseconds, in which the event loop would serve nobody else. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';

/** A piece ends with the row after which it has taken so long. */
const PIECE_MS = 2;

/** Resolves when the next piece may be converted. */
export type Pace = () => Promise<unknown>;

/** Converts rows, in order, and lets the event loop serve others in between, at the pace of the reader if it has one. */
export async function convertRows<Row, T>(
  rows: readonly Row[],
  convert: (row: Row) => T,
  pace: Pace = yieldToEventLoop,
): Promise<T[]> {
  const converted: T[] = [];
  let began = performance.now();
  for (const row of rows) {
    if (performance.now() - began > PIECE_MS) {
      await pace();
      began = performance.now();
    }
    converted.push(convert(row));
  }
  return converted;
}
