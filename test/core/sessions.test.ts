/** Laws of runs: where a run is cut does not matter, and what is stale changes nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { takeFetched } from '../../src/core/metrics/fetched.ts';
import { COUNTERS, type Counter } from '../../src/core/metrics/run.ts';
import type { MetricsReport } from '../../src/core/metrics/sideMetrics.ts';
import { type SideRecord, takeReport } from '../../src/core/metrics/takeReport.ts';
import { type Decimal, decimal, ZERO } from '../../src/core/values/decimal.ts';

const START = Date.parse('2026-01-05T09:00:00Z');
const NEW: SideRecord = { metrics: null, run: null };
const facts = (now: number) => ({
  now,
  startedAt: START,
  returned: (netPnlUsd: Decimal) => netPnlUsd.div(10_000),
});

/** What a bot does between two reports, and whether it restarts before it. */
interface Deed {
  readonly earned: number;
  readonly traded: number;
  readonly erred: number;
  readonly open: number;
  readonly restarts: boolean;
}
const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.record({
    earned: fc.integer({ min: -500, max: 500 }),
    traded: fc.integer({ min: 0, max: 5 }),
    erred: fc.integer({ min: 0, max: 2 }),
    open: fc.integer({ min: -300, max: 300 }),
    restarts: fc.boolean(),
  }),
  { minLength: 1, maxLength: 30 },
);

function live(life: readonly Deed[], cut: boolean) {
  let record: SideRecord = NEW;
  let run = { session: 0, pnl: 0, trades: 0, errors: 0 };
  const returns: string[] = [];
  life.forEach((deed, index) => {
    if (cut && deed.restarts) run = { session: run.session + 1, pnl: 0, trades: 0, errors: 0 };
    run.pnl += deed.earned;
    run.trades += deed.traded;
    run.errors += deed.erred;
    const report: MetricsReport = {
      session: String(run.session),
      sequence: index,
      pnlUsd: decimal(run.pnl),
      unrealizedPnlUsd: decimal(deed.open),
      trades: run.trades,
      errors: run.errors,
    };
    const taken = takeReport(record, report, facts(START + index * 1000));
    if (taken.type !== 'TAKEN') throw new Error(`report ${index} was not taken`);
    record = taken;
    const { netPnlUsd, maxDrawdown, trades, errors } = taken.metrics;
    returns.push([netPnlUsd, maxDrawdown, trades, errors].join(' '));
  });
  return returns;
}

test('sessions cut anywhere give the same figures as one session', () => {
  fc.assert(
    fc.property(deeds, (life) => {
      expect(live(life, true)).toEqual(live(life, false));
    }),
  );
});

test('a report that was overtaken changes nothing, whatever it says', () => {
  const late = fc.record({
    pnlUsd: fc.integer().map(decimal),
    trades: fc.nat(),
    asOf: fc.integer({ min: START, max: START + 9_999 }),
  });
  const first = takeReport(NEW, { pnlUsd: ZERO, trades: 9, asOf: START + 10_000 }, facts(START + 20_000));
  fc.assert(
    fc.property(late, (report) => {
      if (first.type !== 'TAKEN') throw new Error('the first report was not taken');
      expect(takeReport(first, report, facts(START + 30_000))).toEqual({ type: 'STALE' });
    }),
  );
});

test('a counter that falls by more than half marks the side until a session begins; one that lags a little does not', () => {
  const taken = (record: SideRecord, trades: number, session?: string) =>
    takeReport(record, { pnlUsd: ZERO, trades, ...(session && { session }) }, facts(START + 1000));
  const first = taken(NEW, 30);
  if (first.type !== 'TAKEN') throw new Error('the first report was not taken');
  const late = taken(first, 29);
  expect(late).toMatchObject({ type: 'REFUSED', refusal: { code: 'COUNTER_RESET' } });
  expect(late).not.toHaveProperty('record');
  const restarted = taken(first, 1);
  if (restarted.type !== 'REFUSED' || !restarted.record) throw new Error('the restart was not noticed');
  expect(restarted.record.metrics).toEqual({ ...first.metrics, fellAt: START + 1000 });
  const caughtUp = taken(restarted.record, 31);
  expect(caughtUp).toMatchObject({ type: 'TAKEN', metrics: { trades: 31, fellAt: START + 1000 } });
  const named = taken(restarted.record, 1, 'second');
  expect(named).toMatchObject({ type: 'TAKEN', metrics: { trades: 31 } });
  expect(named).not.toHaveProperty('metrics.fellAt');
});

/** A side after each of these answers of a provider, a second apart; `estimated` counters may fall a little. */
function fetchedAfter(answers: readonly MetricsReport[], estimated: readonly Counter[] = []) {
  let record: SideRecord = NEW;
  return answers.map((report, index) => {
    const taken = takeFetched(record, { ok: true, report, estimated }, facts(START + index * 1000));
    if (!taken.ok) throw new Error(taken.message);
    record = taken;
    return taken;
  });
}

test('a counter of a provider that falls has started again: its total never falls', () => {
  const answers = fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(answers, (counts) => {
      let total = 0;
      let before = 0;
      const expected = counts.map((trades) => {
        total += trades < before ? trades : trades - before;
        before = trades;
        return total;
      });
      const sides = fetchedAfter(counts.map((trades) => ({ pnlUsd: ZERO, trades })));
      expect(sides.map(({ metrics }) => metrics.trades)).toEqual(expected);
    }),
  );
});

test('an estimated counter that falls by more than half has started again, any other fall changes nothing', () => {
  const answers = fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(answers, (counts) => {
      let closed = 0;
      let open = 0;
      const expected = counts.map((trades) => {
        if (trades * 2 < open) [closed, open] = [closed + open, trades];
        open = Math.max(open, trades);
        return closed + open;
      });
      const sides = fetchedAfter(
        counts.map((trades) => ({ pnlUsd: ZERO, trades })),
        ['trades'],
      );
      expect(sides.map(({ metrics }) => metrics.trades)).toEqual(expected);
    }),
  );
});

test('a count that Prometheus extrapolates falls while nothing happens, and is counted once', () => {
  const idle = fc.record({
    count: fc.integer({ min: 1, max: 5000 }),
    scrapeSeconds: fc.constantFrom(5, 10, 15, 30, 60),
    checks: fc.integer({ min: 1, max: 50 }),
  });
  fc.assert(
    fc.property(idle, ({ count, scrapeSeconds, checks }) => {
      // increase(x[range]): what lies between the first and the last scrape, stretched to the ends of the range.
      const increases = Array.from({ length: checks }, (_, check) => {
        const range = (check + 1) * 60 + scrapeSeconds;
        const scraped = (Math.floor(range / scrapeSeconds) - 1) * scrapeSeconds;
        return Math.round((count * range) / Math.max(scraped, scrapeSeconds));
      });
      const sides = fetchedAfter(
        increases.map((each) => ({
          pnlUsd: decimal(-7),
          trades: each,
          errors: each,
          uptimeSeconds: each,
          totalGasUsd: decimal(each),
        })),
        COUNTERS,
      );
      const [first = 0] = increases;
      for (const { metrics, reset } of sides) {
        expect(reset).toBeNull();
        expect(metrics).toMatchObject({ trades: first, errors: first, uptimeSeconds: first });
        expect(metrics.netPnlUsd.toString()).toBe('-7');
        expect(metrics.totalGasUsd.toNumber()).toBe(first);
      }
    }),
  );
});

test('small estimates: one to none, and three to one, is a restart; three to two, and two to one, is not', () => {
  const restarts = (from: number, to: number) =>
    fetchedAfter(
      [from, to].map((errors) => ({ pnlUsd: ZERO, trades: 9, errors })),
      ['errors'],
    ).at(-1)?.reset !== null;
  expect([restarts(1, 0), restarts(2, 0), restarts(3, 1), restarts(5, 2)]).toEqual([true, true, true, true]);
  expect([restarts(2, 1), restarts(3, 2), restarts(4, 2), restarts(80, 79)]).toEqual(
    Array.from({ length: 4 }, () => false),
  );
});

test('a counter that has started again shows that the others that fell have, too', () => {
  const answers = [
    { pnlUsd: decimal(-900), trades: 40, errors: 8, uptimeSeconds: 7200 },
    { pnlUsd: decimal(50), trades: 35, errors: 9, uptimeSeconds: 7000 },
  ];
  // The uptime is exact, so that it shows a restart however little it falls.
  const [, after] = fetchedAfter(answers, ['trades', 'errors']);
  expect(after?.metrics).toMatchObject({ trades: 75, errors: 9, uptimeSeconds: 14_200 });
  expect(after?.metrics.netPnlUsd.toString()).toBe('-850');
});

describe('which report is the newer one', () => {
  const NOW = START + 60_000;
  const reported = (report: Partial<MetricsReport>, before: SideRecord = NEW): SideRecord => {
    const taken = takeReport(before, { trades: 1, ...report }, facts(NOW));
    if (taken.type !== 'TAKEN') throw new Error('the report was not taken');
    return taken;
  };
  const outcome = (before: SideRecord, report: Partial<MetricsReport>) =>
    takeReport(before, { trades: 1, ...report }, facts(NOW)).type;

  test('a sequence number decides where both have one: only a higher one is newer', () => {
    const numbered = reported({ sequence: 7, asOf: START + 5000 });
    expect([6, 7, 8].map((sequence) => outcome(numbered, { sequence }))).toEqual(['STALE', 'STALE', 'TAKEN']);
    // It counts for more than the time that the report names.
    expect(outcome(numbered, { sequence: 8, asOf: START + 1 })).toBe('TAKEN');
    expect(outcome(numbered, { sequence: 6, asOf: START + 9000 })).toBe('STALE');
  });

  test('else the time decides where both have one; the same instant is no older', () => {
    const dated = reported({ asOf: START + 5000 });
    expect([4999, 5000, 5001].map((ms) => outcome(dated, { asOf: START + ms }))).toEqual([
      'STALE',
      'TAKEN',
      'TAKEN',
    ]);
    expect(outcome(dated, { sequence: 0, asOf: START + 4999 })).toBe('STALE');
    expect(outcome(reported({ sequence: 7, asOf: START + 5000 }), { asOf: START + 4999 })).toBe('STALE');
    expect(outcome(dated, {})).toBe('TAKEN');
    expect(outcome(reported({}), { asOf: START + 1, sequence: 0 })).toBe('TAKEN');
  });

  test('a new session counts from its own first number', () => {
    const numbered = reported({ session: 'a', sequence: 7 });
    expect(outcome(numbered, { session: 'b', sequence: 1 })).toBe('TAKEN');
    expect(outcome(reported({ session: 'b', sequence: 1 }, numbered), { session: 'a', sequence: 9 })).toBe(
      'STALE',
    );
  });
});

describe('realised and unrealised PnL', () => {
  const split: MetricsReport = { pnlUsd: decimal(5), unrealizedPnlUsd: decimal(1), trades: 1 };
  const whole: MetricsReport = { pnlUsd: decimal(5), trades: 1 };
  const answer = (before: MetricsReport | null, report: MetricsReport) => {
    const first = before ? takeReport(NEW, before, facts(START + 1000)) : { type: 'TAKEN' as const, ...NEW };
    if (first.type !== 'TAKEN') throw new Error('the first report was not taken');
    const taken = takeReport(first, report, facts(START + 2000));
    return taken.type === 'REFUSED' ? taken.refusal.path : taken.type;
  };

  test('come together from the report on that first has both', () => {
    expect(answer(split, split)).toBe('TAKEN');
    expect(answer(whole, split)).toBe('TAKEN');
    expect(answer(whole, whole)).toBe('TAKEN');
    expect(answer(split, whole)).toEqual(['unrealizedPnlUsd']);
    expect(answer(whole, { unrealizedPnlUsd: decimal(1), trades: 1 })).toEqual(['pnlUsd']);
  });

  test('a report that moves the open positions alone, or neither, is taken', () => {
    expect(answer(split, { unrealizedPnlUsd: decimal(2), trades: 1 })).toBe('TAKEN');
    expect(answer(split, { trades: 2 })).toBe('TAKEN');
    expect(answer(null, { unrealizedPnlUsd: decimal(1), trades: 1 })).toBe('TAKEN');
  });
});

describe('where a session began', () => {
  const first = takeReport(
    NEW,
    { session: 'a', since: START - 1000, baseline: true, trades: 4 },
    facts(START),
  );
  const again = (report: Partial<MetricsReport>) => {
    if (first.type !== 'TAKEN') throw new Error('the first report was not taken');
    const taken = takeReport(first, { session: 'a', trades: 5, ...report }, facts(START + 1000));
    return taken.type === 'REFUSED' ? taken.refusal.path : taken.type;
  };

  test('may be repeated, and never changed', () => {
    expect(again({})).toBe('TAKEN');
    expect(again({ since: START - 1000, baseline: true })).toBe('TAKEN');
    expect(again({ since: START })).toEqual(['since']);
    expect(again({ baseline: false })).toEqual(['baseline']);
  });
});
