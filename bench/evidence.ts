/**
 * `npm run bench:evidence`: the pictures of docs/evidence.md and the numbers of its power curve. Writes
 * `docs/pictures/evidence.svg` (the interval over the checks of four canaries), `docs/pictures/power.svg`, and the table
 * between the two marks in the page. Takes a minute or two.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { evidenceFiguresOf } from '../src/core/rule/evidenceFigures.ts';
import { speakingInterval } from '../src/core/rule/sequentialTest.ts';
import { assumptionsAt, calledWorseAt, course, judged, type Shift } from './decision/course.ts';
import { type Panel, type Point, picture } from './decision/svg.ts';

const SEED = 40_417;
const PAGE = 'docs/evidence.md';

const BLUE = '#1f5fbf';
const COLOURS = ['#c2560c', BLUE, '#26734d'];

/** An observation of a day, a check every five minutes. */
const CHECKS = 288;
const CANARIES: readonly { readonly title: string; readonly shift: Shift }[] = [
  { title: 'Identical to the stable version', shift: () => 0 },
  { title: 'Better by 0.4 sigma a check', shift: () => 0.4 },
  { title: 'Worse by 0.4 sigma a check', shift: () => -0.4 },
  {
    title: 'Better by 0.2 sigma, from check 144 on worse by 0.5',
    shift: (check) => (check < 144 ? 0.2 : -0.5),
  },
];
const RUN = 2;

/** The interval that speaks, check by check, in sigma. */
function intervals({ title, shift }: (typeof CANARIES)[number]): Panel {
  const { volatility } = assumptionsAt(CHECKS);
  const [mean, low, high]: [Point[], Point[], Point[]] = [[], [], []];
  let verdict: { readonly x: number; readonly text: string } | null = null;
  let check = 0;
  for (const state of course(CHECKS, shift, SEED, RUN)) {
    check += 1;
    const result = judged(evidenceFiguresOf(state));
    const interval = speakingInterval(result);
    if (interval && check >= 8) {
      mean.push([check, interval.mean / volatility]);
      low.push([check, interval.low / volatility]);
      high.push([check, interval.high / volatility]);
    }
    if (!verdict && result.verdict === 'WORSE') {
      verdict = { x: check, text: `worse, by ${result.by?.toLowerCase()}, check ${check}` };
    }
    if (!verdict && result.verdict === 'NOT_WORSE' && shift(CHECKS) >= 0) {
      verdict = { x: check, text: `not worse, check ${check}` };
    }
  }
  return {
    title,
    x: { label: 'checks', max: CHECKS },
    y: { label: 'sigma a check', min: -1.2, max: 1.2 },
    shapes: [
      { kind: 'BAND', low, high, colour: '#cfdff5' },
      { kind: 'LINE', points: mean, colour: BLUE },
      ...(verdict ? [{ kind: 'MARK', ...verdict } as const] : []),
    ],
  };
}

const DIFFERENCES = [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1];
const RUNS: Readonly<Record<number, number>> = { 60: 1000, 288: 500, 1440: 200 };

/** Shares of canaries worse by each difference that are called worse by the end. */
function power(checks: number): number[] {
  const runs = RUNS[checks] ?? 0;
  return DIFFERENCES.map((difference) => {
    let caught = 0;
    for (let run = 0; run < runs; run += 1) {
      if (calledWorseAt(checks, () => -difference, SEED, run) !== null) caught += 1;
    }
    process.stderr.write(`\r${checks} checks, ${difference} sigma     `);
    return caught / runs;
  });
}

/** The difference that is caught in this share of runs, between two measured ones; null where none is. */
function leastCaught(shares: readonly number[], share: number): number | null {
  const index = shares.findIndex((each) => each >= share);
  if (index < 1) return null;
  const [x0 = 0, x1 = 0] = DIFFERENCES.slice(index - 1, index + 1);
  const [y0 = 0, y1 = 0] = shares.slice(index - 1, index + 1);
  return x0 + ((share - y0) / (y1 - y0)) * (x1 - x0);
}

writeFileSync(
  'docs/pictures/evidence.svg',
  picture(
    CANARIES.map(intervals),
    'The interval of the test over 288 checks, for a canary that is identical, better, worse, and one that turns bad',
  ),
);

const horizons = Object.keys(RUNS).map(Number);
const curves = horizons.map((checks) => ({ checks, shares: power(checks) }));
process.stderr.write('\n');
const powerPanel: Panel = {
  title: 'Canaries that are called worse by the end',
  x: { label: 'worse by, sigma a check', max: 1 },
  y: { label: 'share', min: 0, max: 1 },
  shapes: curves.map(({ checks, shares }, index) => ({
    kind: 'LINE',
    points: shares.map((share, at): Point => [DIFFERENCES[at] ?? 0, share]),
    colour: COLOURS[index] ?? BLUE,
    name: `${checks.toLocaleString('en')} checks`,
  })),
};
writeFileSync(
  'docs/pictures/power.svg',
  picture(
    [powerPanel],
    'Share of canaries called worse against how much worse they are, in 60, 288 and 1,440 checks',
  ),
);

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const least = (shares: readonly number[]) => leastCaught(shares, 0.8)?.toFixed(2) ?? 'above 1';
const table = [
  `| checks | ${DIFFERENCES.map((difference) => `${difference}`).join(' | ')} | caught in 80 % |`,
  `| ---: |${' ---: |'.repeat(DIFFERENCES.length + 1)}`,
  ...curves.map(
    ({ checks, shares }) =>
      `| ${checks.toLocaleString('en')} | ${shares.map(percent).join(' | ')} | ${least(shares)} |`,
  ),
].join('\n');
const marked = /(<!-- power -->\n)[\s\S]*(\n<!-- end of power -->)/;
const page = readFileSync(PAGE, 'utf8');
if (!marked.test(page)) throw new Error(`${PAGE} has no place for the power curve`);
writeFileSync(
  PAGE,
  page.replace(marked, (_, before: string, after: string) => before + table + after),
);
