/** A deployment as a document: a round trip loses nothing, in any life, and every decision in it can be made again. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromDocument, type Sample, toDocument } from '../../src/core/document/document.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { recompute } from '../../src/core/lifecycle/recompute.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { born, lives } from '../harness/life.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

/** The deployment and what is known of it, with a sample for every check that took one. */
function archiveOf(trial: Trial) {
  const { state, metrics, breaches, log: events } = trial;
  const samples = events.flatMap((event): Sample[] =>
    event.type === 'CANARY_METRICS_UPDATED'
      ? [{ check: event.check, at: event.at, decision: event.decision, metrics }]
      : [],
  );
  return { state, metrics, breaches, samples, trades: { CANARY: null, STABLE: null }, events };
}

const trip = (trial: Trial) => fromDocument(JSON.parse(JSON.stringify(toDocument(archiveOf(trial)))));

/** A random life, led to wherever its commands lead. */
const led = lives({ maxCommands: 30 }).map(({ setup, commands }) => {
  const { model, real } = born(setup);
  fc.modelRun(() => ({ model, real }), commands);
  return real;
});

test('a round trip through JSON loses nothing, whatever the deployment has been through', () => {
  fc.assert(
    fc.property(led, (trial) => {
      const read = trip(trial);
      expect(read).toEqual({ ok: true, value: archiveOf(trial) });
    }),
    { numRuns: 40 },
  );
});

/** Leads a life to its end: by the clock while it runs, by command where it waits. */
function finish(trial: Trial): void {
  if (trial.status === 'RUNNING') trial.checkToEnd();
  if (trial.status === 'PAUSED' || trial.status === 'OBSERVATION_COMPLETE') trial.order('ROLLBACK');
}

test('every decision of a random life is made again from its own record', () => {
  let decisions = 0;
  fc.assert(
    fc.property(led, (trial) => {
      finish(trial);
      // As it stands in the document, not as it stood in memory.
      const read = trip(trial);
      if (!read.ok) throw new Error('the document cannot be read');
      for (const event of read.value.events) {
        if (event.type !== 'DECISION_MADE') continue;
        const { record } = event;
        const again = recompute(record, trial.state);
        expect(again.decision).toBe(record.decision);
        expect(again.comparison).toEqual(record.comparison);
        decisions += 1;
      }
    }),
    { numRuns: 60 },
  );
  expect(decisions).toBeGreaterThan(20);
});

describe('a decision', () => {
  const decided = () => {
    const trial = new Trial({
      guardrails: NO_GUARDRAILS,
      onInconclusive: 'ROLLBACK',
      evidence: { mode: 'OFF' },
    });
    trial.earn(100, 900);
    return trial;
  };

  test('carries the capital its returns are on', () => {
    const trial = decided();
    trial.checkToEnd();
    const { returns, capitalUsd, metrics } = trial.decision;
    expect(metrics.CANARY?.netPnlUsd.div(capitalUsd.CANARY).eq(returns.CANARY)).toBe(true);
    expect(metrics.STABLE?.netPnlUsd.div(capitalUsd.STABLE).eq(returns.STABLE)).toBe(true);
  });

  test('that is not what the comparison says is made again as what it was', () => {
    const undecided = decided();
    undecided.report('CANARY', { trades: 1 });
    undecided.checkToEnd();
    const moved = decided();
    moved.stableVersionId = 'v1.1';
    moved.checkToEnd();
    for (const [trial, compared, decision] of [
      [undecided, 'CONTINUE', 'ROLLBACK'],
      [moved, 'PROMOTE', 'MANUAL_REVIEW'],
    ] as const) {
      const again = recompute(trial.decision, trial.state);
      expect([again.comparison.decision, again.decision]).toEqual([compared, decision]);
    }
  });

  test('does not come out the same from a record that was changed', () => {
    const trial = decided();
    trial.checkToEnd();
    const { decision } = trial;
    const worse = { ...decision, returns: { ...decision.returns, CANARY: decimal('-0.5') } };
    expect(recompute(worse, trial.state).decision).toBe('ROLLBACK');
    expect(recompute(decision, trial.state).decision).toBe('PROMOTE');
  });
});

test('a document of nothing, or of something else, is refused', () => {
  for (const document of [undefined, null, 5, 'text', [], {}, { format: 'serin/deployment' }]) {
    const read = fromDocument(document);
    expect(read.ok).toBe(false);
    if (!read.ok) expect(read.violations.every(({ path }) => path[0] === 'document')).toBe(true);
  }
});

test('the events of a document are what its deployment is', () => {
  const trial = new Trial();
  trial.order('PROMOTE');
  const document = toDocument(archiveOf(trial));
  const read = fromDocument({ ...document, deployment: { ...document.deployment, status: 'ROLLED_BACK' } });
  expect(read).toMatchObject({ ok: false, violations: [{ path: ['document', 'deployment', 'status'] }] });
  const whole = fromDocument(document);
  if (!whole.ok) throw new Error('the document cannot be read');
  expect(replay(whole.value.events)).toEqual(trial.state);
});

describe('what could not have come through the API', () => {
  /** A document of a running deployment, changed. */
  const changed = (change: (document: Changeable) => void) => {
    const trial = new Trial();
    trial.earn(5, 5);
    const document: Changeable = JSON.parse(JSON.stringify(toDocument(archiveOf(trial))));
    change(document);
    const read = fromDocument(document);
    return read.ok ? [] : read.violations.map(({ path }) => path.join('.'));
  };
  interface Changeable {
    deployment: Record<string, string>;
    metrics: Record<string, Record<string, string | number>>;
    events: Record<string, string | number>[];
  }

  test('is named where it stands', () => {
    const rename = ({ deployment, events: [first] }: Changeable) => {
      deployment.id = 'no such name';
      if (first) first.id = 'no such name';
    };
    expect(changed(() => {})).toEqual([]);
    expect(changed(rename)).toEqual(['document.deployment.id']);
    expect(
      changed(({ metrics }) => {
        metrics.CANARY = { ...metrics.CANARY, netPnlUsd: `1${'0'.repeat(40)}`, maxDrawdown: '-1' };
      }),
    ).toContain('document.metrics.CANARY.netPnlUsd');
    expect(
      changed(({ metrics }) => {
        metrics.STABLE = { ...metrics.STABLE, maxDrawdown: '-1' };
      }),
    ).toEqual(['document.metrics.STABLE.maxDrawdown']);
  });

  /** A document with three samples and a trade, changed. */
  const recorded = (change: (document: Recorded) => void) => {
    const trial = new Trial();
    for (let check = 0; check < 3; check += 1) trial.check();
    trial.report('CANARY', { pnlUsd: 5, totalPnlUsd: 5, trades: 1, winRate: 1 });
    const [amount, at] = [decimal(0), trial.now];
    const trade = { id: 'a', at, recordedAt: at, pnlUsd: decimal(5), feesUsd: amount, gasUsd: amount };
    const trades = [{ ...trade, notionalUsd: null, error: null, capitalUsd: decimal(10_000) }];
    const archive = { ...archiveOf(trial), trades: { CANARY: trades, STABLE: null } };
    const document: Recorded = JSON.parse(JSON.stringify(toDocument(archive)));
    change(document);
    const read = fromDocument(document);
    return read.ok ? [] : read.violations.map(({ path }) => path.join('.'));
  };
  interface Recorded {
    deployment: Record<string, unknown>;
    samples: Record<string, unknown>[];
    trades: { CANARY: Record<string, unknown>[] };
    events: Record<string, unknown>[];
  }
  const TOO_LONG = `1${'0'.repeat(30)}`;

  test.each<[string, (document: Recorded) => void, string]>([
    ['a sample that appears twice', ({ samples }) => samples.push({ ...samples[1] }), 'samples.3.check'],
    [
      'a check beyond all counts',
      ({ samples }) => Object.assign(samples[2] ?? {}, { check: 3e9 }),
      'samples.2.check',
    ],
    [
      'a trade on too much capital',
      ({ trades }) => Object.assign(trades.CANARY[0] ?? {}, { capitalUsd: TOO_LONG }),
      'trades.CANARY.0.capitalUsd',
    ],
    [
      'a trade with costs that nobody can store',
      ({ trades }) => Object.assign(trades.CANARY[0] ?? {}, { feesUsd: TOO_LONG }),
      'trades.CANARY.0.feesUsd',
    ],
    [
      'a sampled PnL that nobody can store',
      ({ events }) => Object.assign(events[3] ?? {}, { netPnlUsd: { CANARY: TOO_LONG, STABLE: null } }),
      'events.3.netPnlUsd',
    ],
    ['a step without end', ({ events }) => Object.assign(events[3] ?? {}, { unwatchedMs: 8e15 }), 'events'],
    [
      'more commands than can be counted',
      ({ deployment, events }) => {
        for (const each of [deployment, ...events]) each.revision = 3e9;
      },
      'deployment.revision',
    ],
  ])('%s is refused with its place', (_what, change, place) => {
    expect(recorded(() => {})).toEqual([]);
    expect(recorded(change)).toEqual([`document.${place}`]);
  });
});
