/** Changes of a live deployment's configuration: what they may do, how they are classified, and that the log stays whole. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { configChanges, isSafer } from '../../src/core/config/classify.ts';
import { type CanaryConfig, configHash } from '../../src/core/config/config.ts';
import type { CanaryConfigInput } from '../../src/core/config/parseConfig.ts';
import { patchConfig } from '../../src/core/config/patch.ts';
import { fromDocument, toDocument } from '../../src/core/document/document.ts';
import { CanaryDeployment } from '../../src/core/embedding/canaryDeployment.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { recompute } from '../../src/core/lifecycle/recompute.ts';
import {
  allocationOf,
  comparisonInput,
  isWatched,
  observationDeadline,
} from '../../src/core/lifecycle/state.ts';
import { createReplay } from '../../src/core/policy/replay.ts';
import { decisionOf } from '../../src/core/rule/comparison.ts';
import { checkMetricLimits, NO_BREACHES } from '../../src/core/rule/guardrails.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { configOf, NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const NOT_BEGUN = { begun: 0, running: false };

const update = (trial: Trial, patch: CanaryConfigInput) =>
  trial.try({ type: 'UPDATE_CONFIG', patch, reason: null });
const changed = (trial: Trial, patch: CanaryConfigInput) =>
  trial.do({ type: 'UPDATE_CONFIG', patch, reason: null });
const refusalOf = (trial: Trial, patch: CanaryConfigInput) => {
  const before = trial.state;
  const handled = update(trial, patch);
  expect(handled.accepted).toBe(false);
  expect(trial.state).toBe(before);
  return handled.accepted ? null : handled.refusal;
};

test('what makes a deployment safer is done at once, whoever must approve promotions', () => {
  const trial = new Trial({
    requireApproval: true,
    steps: [
      { canaryPercent: 10, minutes: 30 },
      { canaryPercent: 50, minutes: 30 },
    ],
  });
  const before = configHash(trial.state.config);
  const patch: CanaryConfigInput = {
    guardrails: { maxLossPercent: 5, maxLossUsd: 300 },
    autoPromote: false,
    onInconclusive: 'ROLLBACK',
    promotionCriteria: { requirePositivePnl: true },
    steps: [
      { canaryPercent: 10, minutes: 60 },
      { canaryPercent: 25, minutes: 90, gate: 'MANUAL' },
    ],
  };
  expect(changed(trial, patch)).toEqual(['CONFIG_UPDATED']);
  const event = trial.log.at(-1);
  expect(event).toMatchObject({ before, after: configHash(trial.state.config) });
  expect(trial.state.config).toMatchObject({
    autoPromote: false,
    onInconclusive: 'ROLLBACK',
    requireApproval: true,
  });
  expect(changed(trial, patch)).toEqual([]);
});

test('what loosens it is a request under the rule of two people, and one person’s act without', () => {
  const patch = { guardrails: { maxLossPercent: null } };
  expect(changed(new Trial({}), patch)).toEqual(['CONFIG_UPDATED']);

  const trial = new Trial({ requireApproval: true });
  expect(changed(trial, patch)).toEqual(['CONFIG_CHANGE_REQUESTED']);
  expect(refusalOf(trial, patch)?.message).toContain('ada has asked for it already');
  trial.actor = 'ben';
  // Another input is another request.
  expect(changed(trial, { guardrails: { maxLossPercent: 30 } })).toEqual(['CONFIG_CHANGE_REQUESTED']);
  trial.actor = 'cleo';
  expect(changed(trial, { guardrails: { maxLossPercent: 30 } })).toEqual(['CONFIG_UPDATED']);
  expect(trial.log.at(-1)).toMatchObject({ requestedBy: 'ben', actor: 'cleo' });
  expect(trial.state).not.toHaveProperty('configRequest');
});

test('another person approves it by its hash', () => {
  const trial = new Trial({ requireApproval: true });
  const approve = (hash: string) =>
    trial.try({ type: 'UPDATE_CONFIG', patch: null, approve: hash, reason: null });
  expect(approve('0'.repeat(16))).toMatchObject({ accepted: false, refusal: { path: ['approve'] } });
  const both = { type: 'UPDATE_CONFIG', patch: {}, approve: '0'.repeat(16), reason: null } as const;
  expect(trial.try(both)).toMatchObject({
    accepted: false,
    refusal: { message: expect.stringContaining('cannot be given together') },
  });
  changed(trial, { autoRollback: false });
  const hash = configHash(trial.state.config);
  const event = trial.log.at(-1);
  const after = event?.type === 'CONFIG_CHANGE_REQUESTED' ? event.after : '';
  expect(approve(after)).toMatchObject({ accepted: false, refusal: { code: 'INVALID_TRANSITION' } });
  trial.actor = 'ben';
  expect(approve(hash).accepted).toBe(false);
  expect(approve(after).accepted).toBe(true);
  expect(trial.state.config.autoRollback).toBe(false);
  expect(trial.try({ type: 'UPDATE_CONFIG', patch: null, reason: null })).toMatchObject({
    refusal: { path: ['config'] },
  });
});

test('a request ends with a day, a trip, and any other change', () => {
  const patch = { guardrails: { ...NO_GUARDRAILS, maxLossUsd: 10_000 } };
  const ask = () => {
    const trial = new Trial({
      requireApproval: true,
      autoRollback: false,
      guardrails: { ...NO_GUARDRAILS, maxLossUsd: 500 },
    });
    expect(changed(trial, patch)).toEqual(['CONFIG_CHANGE_REQUESTED']);
    trial.actor = 'ben';
    return trial;
  };
  expect(changed(ask(), patch)).toEqual(['CONFIG_UPDATED']);

  const late = ask();
  late.wait(86_401);
  expect(changed(late, patch)).toEqual(['CONFIG_CHANGE_REQUESTED']);

  const tripped = ask();
  expect(tripped.report('CANARY', { pnlUsd: -501, trades: 1 })).toContain('GUARDRAIL_TRIPPED');
  expect(changed(tripped, patch)).toEqual(['CONFIG_CHANGE_REQUESTED']);

  const other = ask();
  changed(other, { earlyPromote: false, maxExtensions: 1 });
  expect(changed(other, patch)).toEqual(['CONFIG_CHANGE_REQUESTED']);
});

test('what the evidence rests on cannot change while it runs, and the refusal names the field', () => {
  const fixed: Record<string, CanaryConfigInput> = {
    'config.evidence.alpha': { evidence: { alpha: 0.05 } },
    'config.evidence.mode': { evidence: { mode: 'OFF' } },
    'config.evidence.minSamples': { evidence: { minSamples: 30 } },
    'config.evidence.margin': { evidence: { margin: 5 } },
    'config.promotionCriteria.minPnlRatio': { promotionCriteria: { minPnlRatio: 0.8 } },
    'config.promotionCriteria.pnlBasis': { promotionCriteria: { pnlBasis: 'USD' } },
    'config.comparison': { comparison: 'RISK_MATCHED' },
    'config.checkIntervalSeconds': { checkIntervalSeconds: 30 },
    'config.capitalLeaseSeconds': { capitalLeaseSeconds: 90 },
    'config.metricsProvider': { metricsProvider: 'prom' },
    'config.tradingHours': {
      tradingHours: { timeZone: 'UTC', sessions: [{ days: ['MONDAY'], open: '09:00', close: '17:00' }] },
    },
    'config.canaryPercent': { canaryPercent: 5 },
    'config.observationPeriodMinutes': { observationPeriodMinutes: 30 },
  };
  for (const [path, patch] of Object.entries(fixed)) {
    for (const safer of [{}, { autoPromote: false }]) {
      const refused = refusalOf(new Trial({}), { ...patch, ...safer });
      expect(refused).toMatchObject({ code: 'INVALID_INPUT', path: path.split('.') });
      expect(refused?.message).toContain(path);
    }
    // Nothing rests on it before capital is deployed.
    expect(changed(new Trial({}, null), patch)).toEqual(['CONFIG_UPDATED']);
  }
  expect(refusalOf(new Trial({}), { guardrails: { maxLossPercent: -1 } })?.path).toEqual([
    'config',
    'guardrails',
    'maxLossPercent',
  ]);
});

test('a running step can be made longer: its end moves, and the planned checks do not', () => {
  const trial = new Trial({ observationPeriodMinutes: 60, guardrails: NO_GUARDRAILS });
  trial.earn(10, 90);
  trial.check();
  const before = isWatched(trial.state) ? observationDeadline(trial.state, trial.state.observation) : 0;
  const { planned } = trial.evidence;
  changed(trial, { observationPeriodMinutes: 90 });
  expect(isWatched(trial.state) && observationDeadline(trial.state, trial.state.observation)).toBe(
    before + 30 * 60_000,
  );
  expect(trial.evidence.planned).toBe(planned);
  trial.checkToEnd();
  expect(trial.now).toBe(before + 30 * 60_000);
});

test('under trading hours a longer step ends within them, as its event says', () => {
  const sessions = [{ days: ['MONDAY', 'TUESDAY'] as const, open: '09:00', close: '10:30' }];
  const trial = new Trial({ tradingHours: { timeZone: 'UTC', sessions }, guardrails: NO_GUARDRAILS });
  changed(trial, { observationPeriodMinutes: 120 });
  expect(new Date(trial.observation.step.endsAt).toISOString()).toBe('2026-01-06T09:30:00.000Z');
  expect(replay(trial.log)).toEqual(trial.state);
});

test('a canary that is beyond a tighter limit is rolled back with the change', () => {
  const trial = new Trial({});
  trial.report('CANARY', { pnlUsd: -700, trades: 3 });
  const events = changed(trial, { guardrails: { maxLossUsd: 500 } });
  expect(events).toEqual(
    expect.arrayContaining(['CONFIG_UPDATED', 'GUARDRAIL_TRIPPED', 'CANARY_ROLLED_BACK']),
  );
  expect(trial.status).toBe('ROLLED_BACK');
});

test('a canary that is beyond a limit, and is held for a person, is rolled back when autoRollback is turned on', () => {
  const trial = new Trial({ autoRollback: false, guardrails: { maxLossUsd: 500 } });
  trial.report('CANARY', { pnlUsd: -700, trades: 3 });
  const brokenAt = trial.now;
  trial.wait(600);
  expect(trial.report('CANARY', { pnlUsd: -800, trades: 4 })).toEqual([]);
  const events = changed(trial, { autoRollback: true });
  expect(events).toEqual(expect.arrayContaining(['CONFIG_UPDATED', 'CANARY_ROLLED_BACK']));
  expect(allocationOf(trial.state)?.breachedAt).toBe(brokenAt);

  const recovered = new Trial({ autoRollback: false, guardrails: { maxLossUsd: 500 } });
  recovered.report('CANARY', { pnlUsd: -700, trades: 3 });
  recovered.report('CANARY', { pnlUsd: -300, trades: 4 });
  changed(recovered, { autoRollback: true });
  expect(recovered.status).toBe('OBSERVATION_COMPLETE');
  recovered.report('CANARY', { pnlUsd: -600, trades: 5 });
  expect(recovered.status).toBe('ROLLED_BACK');
});

test('the log replays, documents round-trip, and every record recomputes under the configuration then', () => {
  const trial = new Trial({
    autoPromote: false,
    autoRollback: false,
    evidence: { mode: 'OFF' },
    guardrails: NO_GUARDRAILS,
  });
  trial.earn(10, 90);
  trial.checkToEnd();
  changed(trial, {
    promotionCriteria: { minWinRateRatio: 1.1, requirePositivePnl: true },
    requireApproval: true,
  });
  trial.extend(5);
  trial.checkToEnd();
  changed(trial, { autoRollback: true, promotionCriteria: { maxErrorRate: '0.05' } });
  trial.order('ROLLBACK');
  expect(replay(trial.log)).toEqual(trial.state);
  const { state, metrics, breaches, log } = trial;
  const trades = { CANARY: null, STABLE: null };
  const document = toDocument({ state, metrics, breaches, samples: [], trades, events: log });
  expect(fromDocument(JSON.parse(JSON.stringify(document)))).toMatchObject({ ok: true, value: { state } });

  const records = log.flatMap((event) => (event.type === 'DECISION_MADE' ? [event] : []));
  expect(new Set(records.map(({ record }) => record.configHash)).size).toBe(3);
  for (const { no, record } of records) {
    const then = replay(log.slice(0, no - 1));
    expect(configHash(then.config)).toBe(record.configHash);
    expect(recompute(record, then).decision).toBe(record.decision);
  }
  const forged = log.map((event) =>
    event.type === 'CONFIG_UPDATED' ? { ...event, config: configOf({ evidence: { alpha: 0.1 } }) } : event,
  );
  const read = fromDocument(
    JSON.parse(JSON.stringify(toDocument({ state, metrics, breaches, samples: [], trades, events: forged }))),
  );
  expect(read.ok).toBe(false);

  const again = createReplay(configOf({}));
  for (const event of log) again.take(event, null);
  const note =
    'The configuration was changed in the record: the replay holds the given policy from beginning to end';
  expect(again.result().notes).toContain(note);
});

test('a deployment inside a program has it, too', () => {
  const deployment = new CanaryDeployment(
    { strategyId: 's', stableVersionId: 'v1', canaryVersionId: 'v2', config: { requireApproval: true } },
    { monitor: false },
  );
  deployment.deployCanary(1000);
  expect(deployment.updateConfig({ guardrails: { maxLossUsd: 50 } }).message).toContain(
    'guardrails.maxLossUsd from none to 50 (safer)',
  );
  expect(deployment.updateConfig({ guardrails: { maxLossUsd: 80 } }, { actor: 'ada' }).message).toContain(
    'asked for',
  );
  expect(deployment.updateConfig({ guardrails: { maxLossUsd: 80 } }, { actor: 'ben' }).success).toBe(true);
  expect(deployment.updateConfig({ evidence: { alpha: 0.05 } }).error?.path).toEqual([
    'config',
    'evidence',
    'alpha',
  ]);
  expect(deployment.updateConfig({ guardrails: { maxLossUsd: 'lots' } }).error?.path).toEqual([
    'config',
    'guardrails',
    'maxLossUsd',
  ]);
  expect(CanaryDeployment.fromDict(deployment.toDict(), { monitor: false }).getStatus().revision).toBe(
    deployment.getStatus().revision,
  );
});

const limit = fc.constantFrom(null, 1, 2, 3);
const configs: fc.Arbitrary<CanaryConfig> = fc
  .record({
    autoPromote: fc.boolean(),
    autoRollback: fc.boolean(),
    emitEvents: fc.boolean(),
    earlyPromote: fc.boolean(),
    requireApproval: fc.boolean(),
    requireUnrealized: fc.boolean(),
    onInconclusive: fc.constantFrom('WAIT' as const, 'EXTEND' as const, 'ROLLBACK' as const),
    maxExtensions: fc.integer({ min: 0, max: 2 }),
    promotionCriteria: fc.record({
      maxDrawdownRatio: fc.constantFrom(1, 2),
      minSharpeRatio: fc.constantFrom('0.7', '0.8', '0.9'),
      minWinRateRatio: fc.constantFrom('0.8', 1),
      minTrades: fc.constantFrom(0, 5, 20),
      maxErrorRate: fc.constantFrom('0.05', '0.1'),
      maxErrorRateRatio: limit,
      requirePositivePnl: fc.boolean(),
      drawdownFloor: fc.constantFrom('0.01', '0.02'),
    }),
    guardrails: fc.record({
      maxLossUsd: limit,
      maxLossPercent: limit,
      maxDrawdown: limit,
      maxErrorRate: limit,
      maxStaleSeconds: fc.constantFrom(null, 60, 300, 600),
      breaches: fc.record({ maxLossUsd: fc.constantFrom(1, 2), maxLossPercent: fc.constantFrom(1, 2) }),
    }),
    settlement: fc.option(
      fc.record({
        tolerancePercent: fc.constantFrom('0.5', 1),
        deadlineSeconds: fc.constantFrom(60, 600),
        required: fc.boolean(),
      }),
    ),
    rollbackPlan: fc.option(
      fc.record({
        positions: fc.constantFrom('CLOSE' as const, 'HAND_OVER' as const),
        maxSlippageBps: limit,
      }),
    ),
    steps: fc
      .array(
        fc.record({
          minutes: fc.constantFrom(5, 10),
          gate: fc.constantFrom('AUTO' as const, 'MANUAL' as const),
          minMinutes: fc.constantFrom(0, 5),
        }),
        { minLength: 1, maxLength: 3 },
      )
      .chain((steps) =>
        fc
          .constantFrom(10, 12)
          .map((share) => steps.map((step, index) => ({ ...step, canaryPercent: share * (index + 1) }))),
      ),
  })
  .map(configOf);

function patched(config: CanaryConfig, patch: CanaryConfigInput): CanaryConfig {
  const parsed = patchConfig(config, patch);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.value;
}

/** Two configurations that differ in some of their settings. */
const near = fc.tuple(configs, configs, fc.nat({ max: 1000 })).map(([one, other, seed]) => {
  const isTaken = (_: unknown, index: number) => (seed * 31 + index * 17) % 6 === 0;
  const { steps, canaryPercent, observationPeriodMinutes, ...rest } = other;
  const some = Object.fromEntries(Object.entries({ ...rest, steps }).filter(isTaken));
  return [one, patched(one, some)] as const;
});

/** Each setting with a value, a safer one, and, where it may be switched off, which of both is the safer. */
const DIRECTIONS: readonly [field: string, looser: CanaryConfigInput, safer: CanaryConfigInput][] = [
  ['autoPromote', { autoPromote: true }, { autoPromote: false }],
  ['autoRollback', { autoRollback: false }, { autoRollback: true }],
  ['emitEvents', { emitEvents: false }, { emitEvents: true }],
  ['earlyPromote', { earlyPromote: true }, { earlyPromote: false }],
  ['requireApproval', { requireApproval: false }, { requireApproval: true }],
  ['requireUnrealized', { requireUnrealized: false }, { requireUnrealized: true }],
  ['maxExtensions', { maxExtensions: 2 }, { maxExtensions: 1 }],
  ['onInconclusive', { onInconclusive: 'WAIT' }, { onInconclusive: 'ROLLBACK' }],
  ['onInconclusive', { onInconclusive: 'EXTEND' }, { onInconclusive: 'WAIT' }],
  ['onInconclusive', { onInconclusive: 'EXTEND' }, { onInconclusive: 'ROLLBACK' }],
  ...(
    [
      ['maxDrawdownRatio', 2, 1],
      ['minWinRateRatio', '0.8', '0.9'],
      ['minSharpeRatio', '0.8', '0.9'],
      ['maxErrorRate', '0.2', '0.1'],
      ['maxErrorRateRatio', 3, 2],
      ['maxErrorRateRatio', 3, null],
      ['requirePositivePnl', false, true],
      ['drawdownFloor', '0.02', '0.01'],
    ] as const
  ).map(([name, looser, safer]): [string, CanaryConfigInput, CanaryConfigInput] => [
    `promotionCriteria.${name}`,
    { promotionCriteria: { [name]: looser } },
    { promotionCriteria: { [name]: safer } },
  ]),
  ...(['maxLossUsd', 'maxLossPercent', 'maxDrawdown', 'maxErrorRate'] as const).flatMap((name) =>
    [
      ['0.5', '0.2'],
      [null, '0.5'],
    ].map(([looser, safer]): [string, CanaryConfigInput, CanaryConfigInput] => [
      `guardrails.${name}`,
      { guardrails: { [name]: looser } },
      { guardrails: { [name]: safer } },
    ]),
  ),
  [
    'guardrails.maxStaleSeconds',
    { guardrails: { maxStaleSeconds: 600 } },
    { guardrails: { maxStaleSeconds: 300 } },
  ],
  [
    'guardrails.breaches.maxLossUsd',
    { guardrails: { breaches: { maxLossUsd: 2 } } },
    { guardrails: { breaches: { maxLossUsd: 1 } } },
  ],
];

test.each(DIRECTIONS)('%s: from %o to %o is safer, and the way back is not', (field, looser, safer) => {
  const [from, to] = [configOf(looser), configOf(safer)];
  const effect = (one: CanaryConfig, other: CanaryConfig) =>
    configChanges(one, other, { begun: 1, running: true }).map((change) => [change.field, change.effect]);
  expect(effect(from, to)).toEqual([[field, 'SAFER']]);
  expect(effect(to, from)).toEqual([[field, 'LOOSER']]);
});

test('a Sharpe ratio back at its default is asked of nobody any more, so it is not safer', () => {
  const config = (minSharpeRatio: string) => configOf({ promotionCriteria: { minSharpeRatio } });
  const [change] = configChanges(config('0.7'), config('0.8'), NOT_BEGUN);
  expect(change?.effect).toBe('LOOSER');
});

test('a step to come: a manual gate, a smaller share and more time are safer', () => {
  const steps = (last: object) =>
    configOf({
      steps: [
        { canaryPercent: 10, minutes: 5 },
        { canaryPercent: 50, minutes: 10, ...last },
      ],
    });
  const effect = (from: object, to: object) =>
    configChanges(steps(from), steps(to), { begun: 1, running: true }).map((change) => change.effect);
  for (const [looser, safer] of [
    [{ gate: 'AUTO' }, { gate: 'MANUAL' }],
    [{ canaryPercent: 50 }, { canaryPercent: 40 }],
    [{ minutes: 10 }, { minutes: 20 }],
  ] as const) {
    expect(effect(looser, safer)).toEqual(['SAFER']);
    expect(effect(safer, looser)).toEqual(['LOOSER']);
  }
});

const safer = (one: CanaryConfig, other: CanaryConfig) => isSafer(configChanges(one, other, NOT_BEGUN));
test('law: safer is a partial order', () => {
  fc.assert(
    fc.property(near, configs, ([one, other], third) => {
      expect(configChanges(one, one, NOT_BEGUN)).toEqual([]);
      if (configChanges(one, other, NOT_BEGUN).length === 0) expect(configHash(one)).toBe(configHash(other));
      expect(safer(one, other) && safer(other, one)).toBe(false);
      for (const [a, b, c] of [
        [one, other, third],
        [third, one, other],
        [one, third, other],
      ] as const)
        if (safer(a, b) && safer(b, c)) expect(safer(a, c)).toBe(true);
    }),
    { numRuns: 150 },
  );
});

/** Settings and their looser values. */
const LOOSER = {
  autoPromote: true,
  autoRollback: false,
  earlyPromote: true,
  requireApproval: false,
  guardrails: { maxLossUsd: 900 },
  promotionCriteria: { maxErrorRate: '0.5' },
};

test('law: what one setting loosens is never hidden by what others tighten', () => {
  const names = fc.constantFrom(...Object.keys(LOOSER));
  fc.assert(
    fc.property(configs, configs, names, (first, other, name) => {
      const tight = { autoPromote: false, autoRollback: true, earlyPromote: false, requireApproval: true };
      const one = patched(first, { ...tight, guardrails: { maxLossUsd: 1 } });
      const kept = Object.entries(other).filter(
        ([key]) => ![name, 'canaryPercent', 'observationPeriodMinutes'].includes(key),
      );
      const two = patched(one, { ...Object.fromEntries(kept), [name]: Reflect.get(LOOSER, name) });
      const changes = configChanges(one, two, NOT_BEGUN);
      expect(changes.some(({ field, effect }) => field.startsWith(name) && effect === 'LOOSER')).toBe(true);
      expect(isSafer(changes)).toBe(false);
    }),
    { numRuns: 100 },
  );
});

test('law: a safer configuration promotes nothing that the other would not, and trips wherever the other does', () => {
  const figures = fc.record({
    pnlUsd: fc.integer({ min: -300, max: 300 }),
    trades: fc.integer({ min: 0, max: 25 }),
    errors: fc.integer({ min: 0, max: 4 }),
    drawdown: fc.constantFrom('0', '0.015', '0.3'),
    sharpeRatio: fc.constantFrom('0.5', '0.75', '0.85', '1'),
    winRate: fc.constantFrom('0.4', '0.5'),
  });
  let compared = 0;
  fc.assert(
    fc.property(near, figures, figures, ([one, other], canary, stable) => {
      if (!safer(one, other)) return;
      compared += 1;
      const trial = new Trial({ guardrails: NO_GUARDRAILS, evidence: { mode: 'OFF' } });
      trial.report('STABLE', stable);
      trial.report('CANARY', canary);
      const { metrics } = trial;
      const decided = (config: CanaryConfig) =>
        decisionOf(
          comparisonInput(trial.observation, metrics, {
            ...config,
            evidence: { ...config.evidence, mode: 'OFF' },
          }),
        );
      if (decided(other) === 'PROMOTE') expect(decided(one)).toBe('PROMOTE');
      if (decided(one) === 'ROLLBACK') expect(decided(other)).not.toBe('PROMOTE');
      const guarded = metrics.CANARY && {
        metrics: metrics.CANARY,
        returned: decimal(canary.pnlUsd).div(10_000),
      };
      const trips = (config: CanaryConfig) =>
        checkMetricLimits(config, guarded, NO_BREACHES).tripped !== null;
      if (trips(one)) expect(trips(other)).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect(compared).toBeGreaterThan(5);
});
