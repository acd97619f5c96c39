/** Capital is a request until it is acknowledged, and returns are computed on what was held while they were earned. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/core/config/parseConfig.ts';
import type { Command } from '../../src/core/lifecycle/command.ts';
import { comparedReturns, isFirstForm } from '../../src/core/lifecycle/evidence.ts';
import { capitalHistory, replay } from '../../src/core/lifecycle/evolve.ts';
import { begin, handle } from '../../src/core/lifecycle/handle.ts';
import {
  type DeploymentState,
  isWatched,
  type Observation,
  observationOf,
  returnsOf,
} from '../../src/core/lifecycle/state.ts';
import { applyReport, type MetricsBySide, NO_METRICS } from '../../src/core/metrics/sideMetrics.ts';
import { NO_BREACHES } from '../../src/core/rule/guardrails.ts';
import { type Decimal, decimal, formatDecimal, ZERO } from '../../src/core/values/decimal.ts';
import type { Side } from '../../src/core/values/side.ts';

const RAMP = [
  { canaryPercent: decimal(10), minutes: 60 },
  { canaryPercent: decimal(50), minutes: 60 },
];

/** A deployment of $100,000 on a ramp of 10 and 50 percent, driven by hand; nothing but commands moves it. */
class Trial {
  now = 1_000_000;
  metrics: MetricsBySide = NO_METRICS;
  state: DeploymentState;
  readonly log;
  readonly deployed;

  constructor(capitalUsd = '100000', steps = RAMP) {
    const config = parseConfig({
      steps,
      guardrails: { maxLossPercent: null, maxStaleSeconds: null },
      evidence: { mode: 'OFF' },
    });
    if (!config.ok) throw new Error('the test has a bad config');
    const names = { id: 'd', strategyId: 's', chain: 'c', stableVersionId: 'v1', canaryVersionId: 'v2' };
    const made = begin({ ...names, config: config.value }, { at: this.now, actor: 'a' });
    this.state = made.state;
    this.log = [...made.events];
    this.deployed = this.do({ type: 'DEPLOY', capitalUsd: decimal(capitalUsd), reason: null });
  }

  do(command: Command) {
    this.now += 1000;
    const { now, metrics } = this;
    const facts = { now, metrics, breaches: NO_BREACHES, stableVersionId: 'v1', actor: 'a' };
    const handled = handle(this.state, command, facts);
    if (!handled.accepted) return handled.refusal;
    const { state, events } = handled;
    this.state = state;
    this.log.push(...events);
    return events.map(({ type }) => type);
  }

  earn(side: Side, usd: number | string) {
    const pnlUsd = (this.metrics[side]?.netPnlUsd ?? ZERO).plus(usd);
    this.metrics = { ...this.metrics, [side]: applyReport(this.metrics[side], { pnlUsd }, this.now) };
  }

  acknowledge(heldUsd: number, side: Side = 'CANARY', number = this.number) {
    return this.do({ type: 'ACKNOWLEDGE', number, side, heldUsd: decimal(heldUsd) });
  }

  get number(): number {
    return this.state.status === 'PENDING' ? 0 : (this.state.allocation?.number ?? 0);
  }

  get observation(): Observation {
    const seen = observationOf(this.state);
    if (!seen) throw new Error('not deployed');
    return seen;
  }

  returned(side: Side = 'CANARY'): Decimal {
    return returnsOf(this.observation, this.metrics)[side];
  }
}

const shown = (value: Decimal) => formatDecimal(value.toDecimalPlaces(12));

describe('what returns are computed on', () => {
  test('the request, where a bot never acknowledges', () => {
    const trial = new Trial();
    trial.earn('CANARY', 100);
    expect(shown(trial.returned())).toBe('0.01');
    trial.do({ type: 'ADVANCE_STEP', reason: null });
    trial.earn('CANARY', 100);
    expect(shown(trial.returned())).toBe('0.012');
  });

  test('what was held: earlier profit stays on the capital it was made with', () => {
    const trial = new Trial();
    trial.earn('CANARY', 100);
    trial.acknowledge(5000);
    expect(shown(trial.returned())).toBe('0.01');
    trial.earn('CANARY', 100);
    expect(shown(trial.returned())).toBe('0.03');
  });

  test('a new request changes nothing for a side that acknowledges, until it does', () => {
    const trial = new Trial();
    trial.acknowledge(10_000);
    trial.do({ type: 'ADVANCE_STEP', reason: null });
    trial.earn('CANARY', 100);
    trial.earn('STABLE', 100);
    expect(shown(trial.returned())).toBe('0.01');
    expect(shown(trial.returned('STABLE'))).toBe('0.002');
    trial.acknowledge(50_000);
    trial.earn('CANARY', 100);
    expect(shown(trial.returned())).toBe('0.012');
  });

  test('the capital before, while a side holds nothing', () => {
    const trial = new Trial();
    trial.acknowledge(0);
    trial.earn('CANARY', -100);
    expect(shown(trial.returned())).toBe('-0.01');
    trial.acknowledge(20_000);
    trial.earn('CANARY', -100);
    expect(shown(trial.returned())).toBe('-0.015');
  });

  test('and while it holds dust only: a late fee is no large return, and no comparison', () => {
    const trial = new Trial();
    const check = () => trial.do({ type: 'CHECK', failure: null });
    trial.acknowledge(10_000);
    trial.acknowledge(90_000, 'STABLE');
    for (const side of ['CANARY', 'STABLE'] as const) trial.earn(side, 90);
    check();
    trial.acknowledge(5, 'STABLE');
    check();
    trial.earn('STABLE', -1);
    trial.earn('CANARY', 100);
    check();
    expect(shown(trial.returned('STABLE'))).toBe(shown(decimal(89).div(90_000)));
    const { observation } = trial;
    if (isFirstForm(observation.evidence)) throw new Error('under the first version of the rule');
    expect(observation.evidence.whenEarning.sums.n).toBe(1);
    const compared = comparedReturns(observation, returnsOf(observation, trial.metrics));
    expect([compared.CANARY, compared.STABLE].map(shown)).toEqual(['0.009', '0.001']);
    expect(replay(trial.log)).toEqual(trial.state);
    // A log of the first version of the rule is folded as it was.
    const [made, ...rest] = trial.log;
    if (made?.type !== 'DEPLOYMENT_CREATED') throw new Error('the log has no beginning');
    const { rule: _, ...first } = made;
    expect(observationOf(replay([first, ...rest]))?.basis.STABLE.capitalUsd.toNumber()).toBe(5);
    // A dollar more than dust is capital.
    trial.acknowledge(11, 'STABLE');
    trial.earn('STABLE', -1);
    expect(shown(trial.returned('STABLE'))).toBe(shown(decimal(89).div(90_000).minus(decimal(1).div(11))));
  });

  test.each(['100', '99.995'])(
    'a first step that leaves the stable side nothing, or dust: no pair, and no large return (%s percent)',
    (percent) => {
      const trial = new Trial('100000', [{ canaryPercent: decimal(percent), minutes: 60 }]);
      for (const usd of [10, 20]) {
        trial.earn('CANARY', usd);
        trial.earn('STABLE', -usd);
        trial.do({ type: 'CHECK', failure: null });
      }
      const { evidence } = trial.observation;
      if (isFirstForm(evidence)) throw new Error('under the first version of the rule');
      expect(evidence.whenEarning.sums.n).toBe(0);
      expect(shown(trial.returned('STABLE'))).toBe('-0.0003');
    },
  );

  test('a pair of samples spans an acknowledgement in its middle', () => {
    const trial = new Trial();
    const check = () => trial.do({ type: 'CHECK', failure: null });
    trial.earn('CANARY', 10);
    trial.earn('STABLE', 0);
    check();
    trial.earn('CANARY', 100);
    trial.acknowledge(5000);
    trial.earn('CANARY', 100);
    check();
    const { evidence } = trial.observation;
    if (isFirstForm(evidence)) throw new Error('under the first version of the rule');
    const { sums } = evidence.whenEarning;
    expect(sums.n).toBe(2);
    expect(sums.mean).toBeCloseTo((10 / 10_000 + (100 / 10_000 + 100 / 5000)) / 2, 15);
  });
});

describe('an answer that comes twice, late or wrong', () => {
  test('the same again changes nothing; another amount is a correction', () => {
    const trial = new Trial();
    expect(trial.acknowledge(9000)).toEqual(['ALLOCATION_ACKNOWLEDGED']);
    expect(trial.acknowledge(9000)).toEqual([]);
    expect(trial.acknowledge(9500)).toEqual(['ALLOCATION_ACKNOWLEDGED']);
  });

  test('an old number names the one in force, and one that never was is unknown', () => {
    const trial = new Trial();
    trial.do({ type: 'ADVANCE_STEP', reason: null });
    expect(trial.acknowledge(9000, 'CANARY', 1)).toMatchObject({ code: 'INVALID_INPUT', path: ['number'] });
    expect(trial.acknowledge(9000, 'CANARY', 1)).toHaveProperty('message', expect.stringContaining('by 2'));
    expect(trial.acknowledge(9000, 'CANARY', 3)).toMatchObject({ code: 'INVALID_INPUT', path: ['number'] });
    expect(trial.acknowledge(9000, 'CANARY', 0)).toMatchObject({ code: 'INVALID_INPUT', path: ['number'] });
    expect(trial.acknowledge(-1)).toMatchObject({ code: 'INVALID_INPUT', path: ['heldUsd'] });
  });

  test('the last allocation is acknowledged after the end', () => {
    for (const type of ['PROMOTE', 'ROLLBACK', 'CANCEL'] as const) {
      const trial = new Trial();
      trial.do({ type, reason: null });
      expect(isWatched(trial.state)).toBe(false);
      expect(trial.acknowledge(0, type === 'PROMOTE' ? 'STABLE' : 'CANARY')).toEqual([
        'ALLOCATION_ACKNOWLEDGED',
      ]);
      expect(replay(trial.log)).toEqual(trial.state);
    }
  });

  test('capital that leaves the canary nothing is refused', () => {
    const trial = new Trial('0.000000000000000001');
    expect(trial.deployed).toMatchObject({ code: 'INVALID_INPUT', path: ['capitalUsd'] });
    expect(trial.state.status).toBe('PENDING');
  });
});

/** What may happen to a trial between two looks at it. */
type Happening =
  | { readonly kind: 'earn'; readonly side: Side; readonly usd: number }
  | { readonly kind: 'acknowledge'; readonly side: Side; readonly usd: number }
  | { readonly kind: 'step' }
  | { readonly kind: 'check' };

const side = fc.constantFrom<Side>('CANARY', 'STABLE');
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ kind: fc.constant('earn' as const), side, usd: fc.integer({ min: -2000, max: 2000 }) }),
  fc.record({
    kind: fc.constant('acknowledge' as const),
    side,
    usd: fc.constantFrom(0, 10, 500, 7000, 90_000),
  }),
  fc.constant<Happening>({ kind: 'step' }),
  fc.constant<Happening>({ kind: 'check' }),
);

describe('laws', () => {
  test('a return is every gain over the capital that was held when it was made; replaying the log gives the state and what each side worked with', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const trial = new Trial();
        const held = { CANARY: decimal(10_000), STABLE: decimal(90_000) };
        const answers = { CANARY: false, STABLE: false };
        const expected = { CANARY: ZERO, STABLE: ZERO };
        for (const happened of happenings) {
          if (happened.kind === 'earn') {
            trial.earn(happened.side, happened.usd);
            const gained = decimal(happened.usd).div(held[happened.side]);
            expected[happened.side] = expected[happened.side].plus(gained);
          } else if (happened.kind === 'acknowledge') {
            trial.acknowledge(happened.usd, happened.side);
            answers[happened.side] = true;
            if (happened.usd > 10) held[happened.side] = decimal(happened.usd);
          } else if (happened.kind === 'step') {
            const moved = trial.do({ type: 'ADVANCE_STEP', reason: null });
            if (!Array.isArray(moved)) continue;
            if (!answers.CANARY) held.CANARY = decimal(50_000);
            if (!answers.STABLE) held.STABLE = decimal(50_000);
          } else {
            trial.do({ type: 'CHECK', failure: null });
          }
        }
        for (const name of ['CANARY', 'STABLE'] as const) {
          expect(shown(trial.returned(name))).toBe(shown(expected[name]));
        }
        expect(replay(trial.log)).toEqual(trial.state);
        const history = capitalHistory(trial.log);
        for (const name of ['CANARY', 'STABLE'] as const) {
          const { capitalUsd, since } = trial.observation.basis[name];
          expect(history[name].at(-1)).toMatchObject({ capitalUsd, since });
          expect(shown(capitalUsd)).toBe(shown(held[name]));
        }
      }),
    );
  });
});
