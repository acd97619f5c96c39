/** What goes to the terminal: tables, colours where there is a terminal, JSON where it is asked for. */
import { once } from 'node:events';
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

export interface Terminal {
  /** Whether the answer is asked for as JSON. */
  readonly json: boolean;
  /** Columns now; a terminal may be resized at any time. */
  columns(): number;
  /** Rows now; Infinity where there is no terminal. */
  rows(): number;
  /** Whether there is a person at a terminal. */
  readonly interactive: boolean;
  readonly paint: Paint;
  /** Writes a line on stdout. */
  line(text?: string): void;
  /** Writes the value as JSON: indented, or on one line for one of many. */
  value(value: unknown, oneOfMany?: boolean): void;
  /** Begins a list of JSON, whose items are written as they come. */
  list(): JsonList;
  /** Waits until what was written is on its way: whoever reads it may be slower than Serin. */
  drained(): Promise<void>;
  /** Writes a sentence on stderr. */
  note(sentence: string): void;
  /** Writes without a line end, for a screen that is redrawn. */
  raw(text: string): void;
}

export interface JsonList {
  item(value: unknown): void;
  end(): void;
}

/** A colour, or a control character of any other kind. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /\x1b\[[\d;]*m|[\x00-\x1f\x7f-\x9f]/g;
/** The first of the characters that are pictures of control characters. */
const PICTURES = 0x2400;

/**
 * A line as it may be written: what others have stored, such as a reason, can neither begin a line of its own nor command
 * the terminal. Colours stay.
 */
export const oneLineOf = (text: string): string =>
  text.replace(CONTROL, (found) => {
    const code = found.charCodeAt(0);
    return found.length > 1
      ? found
      : code < ' '.charCodeAt(0)
        ? String.fromCharCode(PICTURES + code)
        : '\ufffd';
  });

const DEFAULT_COLUMNS = 100;
const LEAST_COLUMNS = 40;

export function createTerminal(json: boolean, stdout: NodeJS.WriteStream = process.stdout): Terminal {
  const interactive = stdout.isTTY === true && !json;
  const coloured = interactive && !process.env.NO_COLOR;
  const given = Number(process.env.COLUMNS);
  return {
    json,
    interactive,
    columns: () => Math.max(LEAST_COLUMNS, stdout.columns ?? (given > 0 ? given : DEFAULT_COLUMNS)),
    rows: () => stdout.rows ?? Infinity,
    paint: (style, text) => (coloured ? styleText(style, text) : text),
    line: (text = '') => void stdout.write(`${oneLineOf(text)}\n`),
    value: (value, oneOfMany = false) =>
      void stdout.write(`${JSON.stringify(value, null, oneOfMany ? 0 : 2)}\n`),
    list() {
      let before = '[\n';
      return {
        item(value) {
          stdout.write(`${before}${JSON.stringify([value], null, 2).slice('[\n'.length, -'\n]'.length)}`);
          before = ',\n';
        },
        end: () => void stdout.write(before === '[\n' ? '[]\n' : '\n]\n'),
      };
    },
    async drained() {
      if (stdout.writableNeedDrain) await once(stdout, 'drain');
    },
    note: (sentence) => void process.stderr.write(`${oneLineOf(sentence)}\n`),
    raw: (text) => void stdout.write(text),
  };
}

export interface Column<Row> {
  readonly head: string;
  readonly of: (row: Row) => string;
  readonly style?: (row: Row) => Style | null;
  /** Figures are set to the right. */
  readonly right?: boolean;
  /** Whether it may be cut to fit the terminal. */
  readonly cut?: boolean;
}

const GAP = 2;
const LEAST_CUT = 8;

/** Lines of a table. What may be cut is cut until a line fits; a table that goes into a pipe is never cut. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  terminal: Terminal,
): string[] {
  const cells = rows.map((row) => columns.map((column) => column.of(row)));
  const widths = columns.map((column, at) =>
    Math.max(column.head.length, ...cells.map((row) => row[at]?.length ?? 0)),
  );
  if (terminal.interactive) shrink(widths, columns, terminal.columns());
  const set = (text: string, at: number, style: Style | null | undefined): string => {
    const width = widths[at] ?? 0;
    const short = text.length > width ? `${text.slice(0, Math.max(1, width - 1))}…` : text;
    const padded = columns[at]?.right
      ? short.padStart(width)
      : at === columns.length - 1
        ? short
        : short.padEnd(width);
    return style ? terminal.paint(style, padded) : padded;
  };
  const gap = ' '.repeat(GAP);
  const head = columns
    .map(({ head: text }, at) => set(text, at, 'bold'))
    .join(gap)
    .trimEnd();
  const body = rows.map((row, index) =>
    columns
      .map((column, at) => set(cells[index]?.[at] ?? '', at, column.style?.(row)))
      .join(gap)
      .trimEnd(),
  );
  return [head, ...body];
}

function shrink<Row>(widths: number[], columns: readonly Column<Row>[], available: number): void {
  for (;;) {
    const over = widths.reduce((sum, width) => sum + width + GAP, -GAP) - available;
    if (over <= 0) return;
    const cuttable = columns.flatMap((column, at) =>
      column.cut && (widths[at] ?? 0) > LEAST_CUT ? [at] : [],
    );
    const widest = cuttable.sort((one, other) => (widths[other] ?? 0) - (widths[one] ?? 0))[0];
    if (widest === undefined) return;
    widths[widest] = Math.max(LEAST_CUT, (widths[widest] ?? 0) - over);
  }
}

/** Breaks a text between words; lines after the first are indented. */
export function wrap(text: string, columns: number, indent = 0): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const width = lines.length === 0 ? columns : columns - indent;
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((content, index) => (index === 0 ? content : ' '.repeat(indent) + content));
}
