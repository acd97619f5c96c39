/** Charts as SVG text: axes, bands and lines, enough for the pictures of docs/evidence.md. */

export type Point = readonly [x: number, y: number];

export interface Panel {
  readonly title: string;
  readonly x: { readonly label: string; readonly max: number };
  readonly y: { readonly label: string; readonly min: number; readonly max: number };
  /** Drawn in order. */
  readonly shapes: readonly Shape[];
}

export type Shape =
  | {
      readonly kind: 'LINE';
      readonly points: readonly Point[];
      readonly colour: string;
      readonly name?: string;
    }
  | {
      readonly kind: 'BAND';
      readonly low: readonly Point[];
      readonly high: readonly Point[];
      readonly colour: string;
    }
  | { readonly kind: 'MARK'; readonly x: number; readonly text: string };

const WIDTH = 460;
const HEIGHT = 250;
const LEFT = 62;
const [RIGHT, TOP, BOTTOM] = [16, 34, 40];
const TICKS = 4;

/** Panels in rows of two. @param description what the picture shows, for those who cannot see it */
export function picture(panels: readonly Panel[], description: string): string {
  const columns = Math.min(2, panels.length);
  const size = { width: WIDTH * columns, height: HEIGHT * Math.ceil(panels.length / columns) };
  const drawn = panels.map((panel, index) => {
    const [x, y] = [(index % columns) * WIDTH, Math.floor(index / columns) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" width="${size.width}" height="${size.height}" role="img" font-family="system-ui, sans-serif" font-size="11">
<title>${description}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
${drawn.join('\n')}
</svg>
`;
}

function drawPanel({ title, x, y, shapes }: Panel): string {
  const [width, height] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
  const across = (value: number) => LEFT + (value / x.max) * width;
  const down = (value: number) => {
    const inside = Math.min(Math.max(value, y.min), y.max);
    return TOP + height - ((inside - y.min) / (y.max - y.min)) * height;
  };
  const path = (points: readonly Point[]) =>
    points.map(([px, py]) => `${across(px).toFixed(1)},${down(py).toFixed(1)}`).join(' ');
  const text = (px: number, py: number, words: string, more = '') =>
    `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" fill="#333333" ${more}>${words}</text>`;
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => index / TICKS);
  const grid = ticks.map((share) => {
    const value = y.min + share * (y.max - y.min);
    const at = down(value).toFixed(1);
    const line = `<line x1="${LEFT}" x2="${LEFT + width}" y1="${at}" y2="${at}" stroke="#e4e4e4"/>`;
    return line + text(LEFT - 6, Number(at) + 4, shown(value), 'text-anchor="end"');
  });
  const along = ticks.map((share) =>
    text(across(share * x.max), TOP + height + 15, shown(share * x.max), 'text-anchor="middle"'),
  );
  const zero =
    y.min < 0 && y.max > 0
      ? `<line x1="${LEFT}" x2="${LEFT + width}" y1="${down(0)}" y2="${down(0)}" stroke="#777777" stroke-dasharray="3 3"/>`
      : '';
  const draw = (shape: Shape): string => {
    switch (shape.kind) {
      case 'BAND':
        return `<polygon points="${path(shape.low)} ${path(shape.high.toReversed())}" fill="${shape.colour}"/>`;
      case 'LINE':
        return `<polyline points="${path(shape.points)}" fill="none" stroke="${shape.colour}" stroke-width="1.6"/>`;
      case 'MARK': {
        const at = across(shape.x).toFixed(1);
        const anchor = shape.x > x.max / 2 ? 'end' : 'start';
        const line = `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${TOP + height}" stroke="#b3261e"/>`;
        return (
          line +
          text(Number(at) + (anchor === 'end' ? -5 : 5), TOP + 12, shape.text, `text-anchor="${anchor}"`)
        );
      }
    }
  };
  const drawn = shapes.map(draw);
  const named = shapes.flatMap((shape) => (shape.kind === 'LINE' && shape.name ? [shape] : []));
  const legend = named.map(({ colour, name = '' }, index) =>
    text(LEFT + width - 8, TOP + height - 8 - 14 * index, name, `text-anchor="end" style="fill:${colour}"`),
  );
  return [
    text(LEFT, 18, title, 'font-weight="600" font-size="12"'),
    text(LEFT + width, HEIGHT - 8, x.label, 'text-anchor="end"'),
    text(8, TOP - 6, y.label),
    ...grid,
    ...along,
    zero,
    ...drawn,
    ...legend,
  ].join('');
}

const shown = (value: number) => String(Number(value.toPrecision(3)));
