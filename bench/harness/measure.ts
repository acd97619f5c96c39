/** What is measured and how it is judged: ratios within one round, the median over rounds, with its bound. */

/** A figure of one round. */
export interface Round {
  readonly ours: number;
  /** The limit or the peer, measured right before or after ours. */
  readonly theirs: number;
}

export interface Row {
  readonly part: string;
  readonly work: string;
  /** What it is held against. */
  readonly against: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  /** Ours over theirs. */
  readonly ratio: number;
  readonly bound: Bound;
  readonly met: boolean;
  readonly note?: string;
}

export type Bound = { readonly atLeast: number } | { readonly atMost: number };

export interface Subject {
  readonly part: string;
  readonly work: string;
  readonly against: string;
  readonly unit: string;
  readonly bound: Bound;
  readonly note?: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The row of a subject: medians of its rounds, and the median of the ratios within each round. */
export function judge(subject: Subject, rounds: readonly Round[]): Row {
  const ratio = median(rounds.map(({ ours, theirs }) => ours / theirs));
  const { bound } = subject;
  return {
    ...subject,
    ours: median(rounds.map(({ ours }) => ours)),
    theirs: median(rounds.map(({ theirs }) => theirs)),
    ratio,
    met: 'atLeast' in bound ? ratio >= bound.atLeast : ratio <= bound.atMost,
  };
}

/** Measures both, ours and theirs, in every round; which comes first changes. */
export async function alternate(
  rounds: number,
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<Round[]> {
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    if (round % 2 === 0) {
      const first = await ours();
      measured.push({ ours: first, theirs: await theirs() });
    } else {
      const first = await theirs();
      measured.push({ ours: await ours(), theirs: first });
    }
  }
  return measured;
}

const shown = (value: number) =>
  value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
const boundOf = (bound: Bound) =>
  'atLeast' in bound ? `>= ${bound.atLeast.toFixed(2)}` : `<= ${bound.atMost.toFixed(2)}`;

/** The rows as a Markdown table, which is also what a terminal shows well. */
export function tableOf(rows: readonly Row[]): string {
  const head = ['work', 'Serin', 'limit or peer', 'theirs', 'unit', 'ratio', 'asked', 'met'];
  const lines = rows.map((row) => [
    row.work,
    shown(row.ours),
    row.against,
    shown(row.theirs),
    row.unit,
    row.ratio.toFixed(2),
    boundOf(row.bound),
    row.met ? 'yes' : 'NO',
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const format = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [format(head), rule, ...lines.map(format)].join('\n');
}
