/** Two curves on one scale as lines of braille: two columns and four rows of dots in each character. */

export interface Drawn {
  /** Lines of the chart, the highest value first; the second is under the first where both are in one character. */
  readonly lines: readonly (readonly Cell[])[];
  readonly low: number;
  readonly high: number;
}

export interface Cell {
  readonly text: string;
  /** Which curves are in it. */
  readonly first: boolean;
  readonly second: boolean;
}

const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const BLANK = 0x2800;

/**
 * Draws both curves over the same checks.
 * @param first values in order, null where there is none
 * @param second of the same length
 */
export function draw(
  first: readonly (number | null)[],
  second: readonly (number | null)[],
  columns: number,
  rows: number,
): Drawn {
  const values = [...first, ...second].filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const [wide, tall] = [columns * 2, rows * 4];
  const dots = (curve: readonly (number | null)[]) => {
    const cells = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
    let before: number | null = null;
    for (let x = 0; x < wide; x += 1) {
      const value = curve[Math.floor((x * curve.length) / wide)];
      if (value === undefined || value === null) {
        before = null;
        continue;
      }
      const y = high === low ? tall - 1 : Math.round(((high - value) / (high - low)) * (tall - 1));
      // A jump is drawn as a line, so that a spike between two columns stays.
      const [from, to]: [number, number] =
        before === null ? [y, y] : [Math.min(y, before), Math.max(y, before)];
      for (let dot = from; dot <= to; dot += 1) {
        const row = cells[Math.floor(dot / 4)];
        const column = Math.floor(x / 2);
        if (row) row[column] = (row[column] ?? 0) | (DOTS[dot % 4]?.[x % 2] ?? 0);
      }
      before = y;
    }
    return cells;
  };
  const [one, other] = [dots(first), dots(second)];
  const lines = one.map((row, y) =>
    row.map((bits, x) => {
      const both = bits | (other[y]?.[x] ?? 0);
      return {
        text: both === 0 ? ' ' : String.fromCodePoint(BLANK + both),
        first: bits !== 0,
        second: (other[y]?.[x] ?? 0) !== 0,
      };
    }),
  );
  return { lines, low, high };
}

/** A row of blocks that is filled to a share between 0 and 1. */
export function bar(share: number, columns: number): string {
  const filled = Math.round(Math.max(0, Math.min(1, share)) * columns);
  return '█'.repeat(filled) + '░'.repeat(columns - filled);
}
