/** Two curves on one scale as lines of braille: two columns and four rows of dots in each character. */

/** The lowest and the highest value that are drawn. */
export interface Scale {
  readonly low: number;
  readonly high: number;
}

export interface Drawn {
  /** Lines of the chart, the highest value first; the second is under the first where both are in one character. */
  readonly lines: readonly (readonly Cell[])[];
  readonly scale: Scale;
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

export type Curve = readonly (number | null)[];

/** The scale of all values, with zero on it. */
export function scaleOf(...curves: readonly Curve[]): Scale {
  const values = curves.flat().filter((value) => value !== null);
  return { low: Math.min(0, ...values), high: Math.max(0, ...values) };
}

/**
 * Draws both curves over the same checks; what lies outside the scale is left out. Zero is a dotted line where a curve
 * is on both sides of it.
 * @param first values in order, null where there is none
 * @param second of the same length
 */
export function draw(first: Curve, second: Curve, columns: number, rows: number, scale: Scale): Drawn {
  const { low, high } = scale;
  const [wide, tall] = [columns * 2, rows * 4];
  const rowOf = (value: number) =>
    high === low ? tall - 1 : Math.round(((high - value) / (high - low)) * (tall - 1));
  const dots = (curve: Curve) => {
    const cells = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
    let before: number | null = null;
    for (let x = 0; x < wide; x += 1) {
      const value = curve[Math.floor((x * curve.length) / wide)];
      if (value === undefined || value === null) {
        before = null;
        continue;
      }
      const y = rowOf(Math.min(high, Math.max(low, value)));
      // A jump is drawn as a line, so that a spike between two columns stays.
      const [from, to]: [number, number] =
        before === null ? [y, y] : [Math.min(y, before), Math.max(y, before)];
      before = y;
      if (value < low || value > high) continue;
      for (let dot = from; dot <= to; dot += 1) {
        const row = cells[Math.floor(dot / 4)];
        const column = Math.floor(x / 2);
        if (row) row[column] = (row[column] ?? 0) | (DOTS[dot % 4]?.[x % 2] ?? 0);
      }
    }
    return cells;
  };
  const [one, other] = [dots(first), dots(second)];
  const zero = low < 0 && high > 0 ? rowOf(0) : null;
  const lines = one.map((row, y) =>
    row.map((bits, x) => {
      const curves = bits | (other[y]?.[x] ?? 0);
      const dotted = zero !== null && Math.floor(zero / 4) === y && x % 2 === 0;
      const both = curves === 0 && dotted ? (DOTS[zero % 4]?.[0] ?? 0) : curves;
      return {
        text: both === 0 ? ' ' : String.fromCodePoint(BLANK + both),
        first: bits !== 0,
        second: (other[y]?.[x] ?? 0) !== 0,
      };
    }),
  );
  return { lines, scale };
}

/** A row of blocks that is filled to a share between 0 and 1. */
export function bar(share: number, columns: number): string {
  const filled = Math.round(Math.max(0, Math.min(1, share)) * columns);
  return '█'.repeat(filled) + '░'.repeat(columns - filled);
}
