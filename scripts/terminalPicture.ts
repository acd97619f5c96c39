/** Terminal output as an SVG: a dark window of its own, so that it can be read on a light and on a dark page. */

/** Foreground colours of the escape sequences in use, on the window's background; contrast at least 4.5 to 1. */
const COLOURS: Readonly<Record<string, string>> = {
  31: '#ff7b72',
  32: '#56d364',
  33: '#e3b341',
  35: '#d2a8ff',
  36: '#76e3ea',
};
const FOREGROUND = '#e6edf3';
const DIM = '#8b949e';
const BACKGROUND = '#0d1117';
const BORDER = '#484f58';

const FONT_SIZE = 14;
/** Width of a character of the fonts below, in pixels; every run of text is stretched to it. */
const COLUMN = 8.4;
const LINE = 19;
const PADDING = 16;

interface Look {
  readonly fill: string;
  readonly bold: boolean;
}

const PLAIN: Look = { fill: FOREGROUND, bold: false };

/** The look after one code of an escape sequence: bold, dim, a colour, or the end of one of them. */
function next(look: Look, code: string): Look {
  if (code === '0') return PLAIN;
  if (code === '1') return { ...look, bold: true };
  if (code === '2') return { ...look, fill: DIM };
  if (code === '22') return { fill: look.fill === DIM ? FOREGROUND : look.fill, bold: false };
  if (code === '39') return { ...look, fill: FOREGROUND };
  return { ...look, fill: COLOURS[code] ?? look.fill };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const ESCAPE = /\u001b\[([\d;]*)m/;

const escapeXml = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function drawLine(line: string, y: number): string {
  let look = PLAIN;
  let column = 0;
  const runs: string[] = [];
  for (const [index, part] of line.split(ESCAPE).entries()) {
    // Between the texts, `split` puts what the expression captured: the codes.
    if (index % 2 === 1) {
      look = part.split(';').reduce(next, look);
      continue;
    }
    // Words apart from each other are placed each at its own column, in whatever font the reader has.
    for (const { 0: words, index: at } of part.matchAll(/\S+( \S+)*/g)) {
      const x = (PADDING + (column + at) * COLUMN).toFixed(1);
      const weight = look.bold ? ' font-weight="bold"' : '';
      runs.push(
        `<text x="${x}" y="${y}" fill="${look.fill}"${weight} textLength="${(words.length * COLUMN).toFixed(1)}">${escapeXml(words)}</text>`,
      );
    }
    column += part.length;
  }
  return runs.join('');
}

/**
 * @param lines with the escape sequences of colours
 * @param title what the picture shows, for those who cannot see it
 */
export function terminalPicture(lines: readonly string[], columns: number, title: string): string {
  const width = Math.ceil(columns * COLUMN + 2 * PADDING);
  const height = lines.length * LINE + 2 * PADDING;
  const texts = lines.map((line, index) => drawLine(line, PADDING + index * LINE + FONT_SIZE));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="${BACKGROUND}" stroke="${BORDER}"/>`,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT_SIZE}" xml:space="preserve" lengthAdjust="spacingAndGlyphs">`,
    ...texts.filter((text) => text !== ''),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}
