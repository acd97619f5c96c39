/** The course of a deployment as curves for a terminal: the returns of both sides, and the interval of the evidence. */
import { type Curve, draw, type Scale, scaleOf } from './chart.ts';
import type { PointView } from './deployment.ts';
import type { Paint, Style } from './terminal.ts';

/** How both curves of a picture are called and coloured. */
interface Picture {
  readonly curves: readonly [Curve, Curve];
  readonly styles: readonly [Style, Style];
  readonly scale: Scale;
  readonly digits: number;
  /** What stands under it. */
  readonly caption: string;
}

/** The returns of both sides. */
export function returns(points: readonly PointView[], paint: Paint): Picture {
  const canary = points.map(({ canaryReturn }) => canaryReturn);
  const stable = points.map(({ stableReturn }) => stableReturn);
  const names = `${paint('yellow', 'canary')}, ${paint('cyan', 'stable')}`;
  return {
    curves: [canary, stable],
    styles: ['yellow', 'cyan'],
    scale: scaleOf(canary, stable),
    digits: 2,
    caption: `returns of ${points.at(-1)?.check ?? 0} checks: ${names}`,
  };
}

/** The first intervals are so wide that nothing else would be seen: the scale is that of the later ones. */
const SCALED_FROM = 1 / 3;

/** The interval of the evidence, check by check; null before there are two. */
export function interval(points: readonly PointView[], paint: Paint): Picture | null {
  const known = points.filter(({ low }) => low !== null);
  if (known.length < 2) return null;
  const later = known.slice(Math.floor(known.length * SCALED_FROM));
  const ends = (from: readonly PointView[]) =>
    [from.map(({ high }) => high), from.map(({ low }) => low)] as const;
  return {
    curves: ends(points),
    styles: ['magenta', 'magenta'],
    scale: scaleOf(...ends(later)),
    digits: 3,
    caption: `${paint('magenta', 'interval')} of the difference a check; above 0 not worse, below 0 worse`,
  };
}

/** The lines of a picture, with its scale at the left. */
export function lines(
  picture: Picture,
  rows: number,
  columns: number,
  label: number,
  paint: Paint,
): string[] {
  const { curves, styles, scale, digits, caption } = picture;
  const drawn = draw(...curves, columns - label, rows, scale).lines.map((cells, row) => {
    const value = row === 0 ? scale.high : row === rows - 1 ? scale.low : null;
    const edge = value === null ? '' : `${value >= 0 ? '+' : ''}${(value * 100).toFixed(digits)} %`;
    const line = cells
      .map(({ text, first, second }) =>
        first === second ? (first ? text : paint('dim', text)) : paint(styles[first ? 0 : 1], text),
      )
      .join('');
    return `${edge.padEnd(label)}${line}`.trimEnd();
  });
  return [...drawn, `${' '.repeat(label)}${caption}`, ''];
}
