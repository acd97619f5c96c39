/** The embeddable class: the contract's methods and callbacks, its timer, and what an embedder's code can do to it. */
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type CanaryConfigInput,
  CanaryDeployment,
  type CanaryEvent,
  type Embedding,
  type GivenReport,
  InvalidDeployment,
  type MetricsRequest,
  replay,
} from '../../src/core/index.ts';
import { HandClock } from '../harness/handClock.ts';
import { NO_GUARDRAILS } from '../harness/trial.ts';

const NAMES = {
  strategyId: 'eth-momentum',
  stableVersionId: 'v41',
  canaryVersionId: 'v42',
  chain: 'arbitrum',
};

interface Made {
  readonly canary: CanaryDeployment;
  readonly clock: HandClock;
  readonly errors: [string, string][];
}

function make(config: CanaryConfigInput = {}, embedding: Embedding = {}): Made {
  const clock = new HandClock();
  const errors: [string, string][] = [];
  const onError = (error: unknown, where: string) => errors.push([where, String(error)]);
  const canary = new CanaryDeployment({ ...NAMES, config }, { clock, onError, ...embedding });
  onTestFinished(() => canary.stop());
  return { canary, clock, errors };
}

/** Deployed, with nothing but the test's own reports to end it. */
function deployed(config: CanaryConfigInput = {}, embedding: Embedding = {}): Made {
  // Totals are reported once or twice here: the gates alone decide, as in the contract's plain comparison.
  const made = make({ guardrails: NO_GUARDRAILS, evidence: { mode: 'OFF' }, ...config }, embedding);
  expect(made.canary.deployCanary(100_000).success).toBe(true);
  return made;
}

const good = ({ side }: MetricsRequest): GivenReport =>
  side === 'CANARY' ? { pnlUsd: '110.5', trades: 12 } : { pnlUsd: 900, trades: 80 };

test('a stable side that begins another session is no further breach of the canary', () => {
  const { canary } = deployed({ guardrails: { maxLossUsd: 100, breaches: { maxLossUsd: 2 } } });
  canary.updateStableMetrics({ session: 'a', trades: 5 });
  canary.updateCanaryMetrics({ pnlUsd: -200 });
  canary.updateStableMetrics({ session: 'b', trades: 1 });
  expect(canary.getStatus().status).toBe('RUNNING');
  canary.updateCanaryMetrics({ pnlUsd: -200 });
  expect(canary.getStatus().status).toBe('ROLLED_BACK');
});

describe('the contract', () => {
  test('begins in PENDING with the defaults, and starts with the capital split exactly', () => {
    const { canary, clock } = make();
    expect(canary.getStatus()).toMatchObject({
      strategyId: 'eth-momentum',
      chain: 'arbitrum',
      status: 'PENDING',
      observationRemainingSeconds: 3600,
      observationComplete: false,
      canaryMetrics: null,
      comparison: null,
      availableActions: ['DEPLOY', 'CANCEL', 'UPDATE_CONFIG'],
    });
    const result = canary.deployCanary('1000.000000000000000001', { actor: 'ada', reason: 'go' });
    expect(result).toMatchObject({ success: true, deploymentId: canary.id, error: null });
    expect(result.canaryCapitalUsd.toFixed()).toBe('100');
    expect(result.stableCapitalUsd.toFixed()).toBe('900.000000000000000001');
    expect(canary.getStatus()).toMatchObject({
      status: 'RUNNING',
      startedAt: clock.now(),
      observationDeadline: clock.now() + 3_600_000,
      canaryMetrics: { versionId: 'v42', isCanary: true, tradeCount: 0, durationSeconds: 0 },
      stableMetrics: { versionId: 'v41', isCanary: false },
      comparison: { decision: 'CONTINUE' },
    });
    expect(canary.events[1]).toMatchObject({ type: 'CANARY_STARTED', actor: 'ada', reason: 'go' });
  });

  test('takes reports: what is left out stays as it was', () => {
    const { canary } = deployed();
    canary.updateCanaryMetrics({ pnlUsd: '12.5', trades: 7, sharpeRatio: -1.25, drawdown: 0.03 });
    canary.updateCanaryMetrics({ errors: 2, sharpeRatio: null });
    canary.updateStableMetrics({ pnlUsd: 100, trades: 70 });
    const { canaryMetrics } = canary.getStatus();
    expect(canaryMetrics).toMatchObject({ tradeCount: 7, errorCount: 2 });
    expect(canaryMetrics?.metrics.sharpeRatio?.toFixed()).toBe('-1.25');
    const comparison = canary.comparePerformance();
    expect(comparison?.pnlRatio?.toFixed()).toBe('1.125');
    expect(comparison?.decision).toBe('ROLLBACK');
  });

  test('promotes by its timer when the observation is over, and says so', async () => {
    const told: string[] = [];
    const { canary, clock } = deployed(
      {},
      {
        onPromote: ({ stableVersionId }, { status }) => told.push(`${stableVersionId} ${status}`),
        onStateChange: ({ previousStatus, status }) => told.push(`${previousStatus}>${status}`),
        onDecision: ({ decision, cause }) => told.push(`${decision} ${cause}`),
      },
    );
    canary.updateCanaryMetrics(good({ side: 'CANARY' } as MetricsRequest));
    canary.updateStableMetrics(good({ side: 'STABLE' } as MetricsRequest));
    await clock.advance(3599);
    expect(canary.getStatus()).toMatchObject({ status: 'RUNNING', observationRemainingSeconds: 1 });
    await clock.advance(1);
    // Nothing is promoted on figures an hour old.
    expect(canary.getStatus().status).toBe('RUNNING');
    canary.updateCanaryMetrics(good({ side: 'CANARY' } as MetricsRequest));
    canary.updateStableMetrics(good({ side: 'STABLE' } as MetricsRequest));
    await clock.advance(60);
    expect(canary.getStatus().status).toBe('PROMOTED');
    expect(told).toEqual(['PENDING>RUNNING', 'PROMOTE OBSERVATION_OVER', 'RUNNING>PROMOTED', 'v42 PROMOTED']);
    expect(canary.nextCheckAt).toBeNull();
    expect(clock.waiting).toBe(0);
    expect(canary.events.filter(({ type }) => type === 'CANARY_METRICS_UPDATED')).toHaveLength(61);
  });

  test('rolls back in the report that breaks a guardrail', () => {
    const told: string[] = [];
    const { canary } = make({}, { onRollback: ({ reason }) => told.push(String(reason)) });
    canary.deployCanary(100_000);
    const result = canary.updateCanaryMetrics({ pnlUsd: -2500 });
    expect(result).toMatchObject({ success: true, deployment: { status: 'ROLLED_BACK' } });
    expect(result.deployment.stableCapitalUsd.toFixed()).toBe('100000');
    expect(told).toEqual([expect.stringContaining('maxLossPercent')]);
    expect(canary.decisionHistory).toMatchObject([{ decision: 'ROLLBACK', cause: 'GUARDRAIL' }]);
  });

  test('has every command of the lifecycle', async () => {
    const steps = [
      { canaryPercent: 10, minutes: 30, gate: 'MANUAL' as const },
      { canaryPercent: '50', minutes: 30 },
    ];
    const { canary, clock } = deployed({ steps });
    const act = (result: { success: boolean; deployment: { status: string } }) =>
      `${result.success} ${result.deployment.status}`;
    expect(act(canary.pause({ actor: 'ada' }))).toBe('true PAUSED');
    await clock.advance(7200);
    expect(canary.getStatus()).toMatchObject({ status: 'PAUSED', observationRemainingSeconds: 3600 });
    expect(act(canary.resume())).toBe('true RUNNING');
    await clock.advance(1800);
    expect(canary.getStatus().status).toBe('OBSERVATION_COMPLETE');
    expect(act(canary.extendObservation(10))).toBe('true RUNNING');
    expect(act(canary.advanceStep({ reason: 'looks good' }))).toBe('true RUNNING');
    expect(canary.getStatus()).toMatchObject({ step: 2 });
    expect(act(canary.acknowledgeAllocation(2, 'CANARY', '49000'))).toBe('true RUNNING');
    expect(canary.getStatus().canaryMetrics?.capitalAllocatedUsd.toFixed()).toBe('49000');
    const promoted = canary.promoteCanary({ actor: 'ada', reason: 'enough' });
    expect(promoted).toMatchObject({
      success: true,
      decision: 'PROMOTE',
      deployment: { status: 'PROMOTED' },
    });
    expect(canary.decisionHistory.at(-1)).toMatchObject({
      automatic: false,
      reasons: ['Promoted by command: enough'],
    });
    expect(act(make().canary.cancelDeployment())).toBe('true CANCELLED');
    expect(act(deployed().canary.rollbackCanary())).toBe('true ROLLED_BACK');
  });

  test('reports capital that is not where it should be, also after the end, until the side says that nothing is open', async () => {
    const settlement = { deadlineSeconds: 300 };
    const { canary, clock } = deployed({ settlement, rollbackPlan: { positions: 'CLOSE' } });
    const types = () =>
      canary.events.map(({ type }) => type).filter((type) => type.startsWith('ALLOCATION_'));
    canary.acknowledgeAllocation(1, 'CANARY', 10_000);
    canary.acknowledgeAllocation(1, 'STABLE', 90_000);
    expect(types().at(-1)).toBe('ALLOCATION_SETTLED');
    canary.rollbackCanary();
    canary.acknowledgeAllocation(2, 'STABLE', 100_000);
    await clock.advance(299);
    expect(types().at(-1)).toBe('ALLOCATION_ACKNOWLEDGED');
    await clock.advance(301);
    expect(types().slice(-2)).toEqual(['ALLOCATION_OVERDUE', 'ALLOCATION_OVERDUE']);
    canary.acknowledgeAllocation(2, 'CANARY', 0);
    expect(types().at(-1)).toBe('ALLOCATION_ACKNOWLEDGED');
    expect(canary.acknowledgeAllocation(2, 'CANARY', 0, { openExposureUsd: 'much' }).error).toMatchObject({
      path: ['openExposureUsd'],
    });
    canary.acknowledgeAllocation(2, 'CANARY', 0, { openExposureUsd: 0 });
    expect(types().at(-1)).toBe('ALLOCATION_SETTLED');
    expect(clock.waiting).toBe(0);
  });

  test('fails when the lease of the capital runs out, unless the bot is heard; a bot that stood down ends it', async () => {
    const { canary, clock } = deployed({ capitalLeaseSeconds: 60, checkIntervalSeconds: 3600 });
    const status = () => canary.getStatus().status;
    await clock.advance(50);
    expect(canary.heartbeat().success).toBe(true);
    await clock.advance(50);
    canary.updateCanaryMetrics({ pnlUsd: 1 });
    await clock.advance(59.9);
    expect(status()).toBe('RUNNING');
    const endsAt = clock.now() + 100;
    await clock.advance(0.1);
    expect(status()).toBe('FAILED');
    const expired = canary.events.find(({ type }) => type === 'LEASE_EXPIRED');
    expect(expired).toMatchObject({ at: endsAt, leaseUntil: endsAt, stoodDown: false });
    expect(canary.getStatus().canaryCapitalUsd.toFixed()).toBe('0');
    expect(canary.heartbeat().error?.code).toBe('INVALID_TRANSITION');
    expect(clock.waiting).toBe(0);

    const slept = deployed({ capitalLeaseSeconds: 60, checkIntervalSeconds: 3600 });
    slept.clock.jump(600);
    await slept.clock.advance(1);
    expect(slept.canary.events.at(-1)?.type).toBe('LEASE_RESUMED');
    expect(slept.canary.heartbeat({ stoodDown: true })).toMatchObject({
      success: true,
      decision: 'ROLLBACK',
    });
    expect(slept.canary.getStatus().status).toBe('FAILED');
    expect(deployed().canary.heartbeat({ stoodDown: true }).error?.path).toEqual(['stoodDown']);
  });

  test('waits for a second person where the configuration asks for one', () => {
    const { canary } = deployed({ requireApproval: true });
    const asked = canary.promoteCanary({ actor: 'ada' });
    expect(asked).toMatchObject({ success: true, decision: 'CONTINUE', deployment: { status: 'RUNNING' } });
    expect(asked.message).toContain('somebody else approves');
    expect(canary.promoteCanary({ actor: 'ada' }).success).toBe(false);
    expect(canary.promoteCanary({ actor: 'bob' })).toMatchObject({
      decision: 'PROMOTE',
      deployment: { status: 'PROMOTED' },
    });
  });

  test('refuses what it cannot do, and nothing changes', () => {
    const { canary } = deployed();
    const { revision } = canary.getStatus();
    for (const [result, code, path] of [
      [canary.deployCanary(5), 'INVALID_TRANSITION', []],
      [canary.resume(), 'INVALID_TRANSITION', []],
      [canary.advanceStep(), 'INVALID_TRANSITION', []],
      [canary.updateCanaryMetrics({ trades: -1 }), 'INVALID_INPUT', ['trades']],
      [canary.updateCanaryMetrics({}), 'INVALID_INPUT', []],
      [canary.updateStableMetrics({ pnlUsd: 'lots' }), 'INVALID_INPUT', ['pnlUsd']],
      [canary.updateStableMetrics({ pnlUsd: Number.NaN }), 'INVALID_INPUT', ['pnlUsd']],
      [canary.acknowledgeAllocation(7, 'CANARY', 1), 'INVALID_INPUT', ['number']],
      [canary.acknowledgeAllocation(1, 'CANARY', -1), 'INVALID_INPUT', ['heldUsd']],
      [canary.acknowledgeAllocation(1.5, 'CANARY', 1), 'INVALID_INPUT', ['number']],
    ] as const) {
      expect(result).toMatchObject({ success: false, decision: null, error: { code, path } });
      expect(result.message).not.toBe('');
    }
    expect(canary.getStatus()).toMatchObject({ status: 'RUNNING', revision });
    const { canary: pending } = make();
    expect(pending.deployCanary(0).error).toMatchObject({ code: 'INVALID_INPUT', path: ['capitalUsd'] });
    expect(pending.deployCanary('Infinity').error).toMatchObject({ path: ['capitalUsd'] });
    expect(pending.updateCanaryMetrics({ trades: 1 }).error?.code).toBe('INVALID_TRANSITION');
  });

  test('cannot be made of bad input: every field is named', () => {
    const bad = () =>
      new CanaryDeployment({
        strategyId: '',
        stableVersionId: 'v1',
        canaryVersionId: 'v1',
        config: { canaryPercent: 60, checkIntervalSeconds: 5, evidence: { alpha: 3 } },
      });
    expect(bad).toThrow(InvalidDeployment);
    try {
      bad();
    } catch (error) {
      const { violations } = error instanceof InvalidDeployment ? error : { violations: [] };
      expect(violations.map(({ path }) => path.join('.'))).toEqual([
        'strategyId',
        'config.checkIntervalSeconds',
        'config.canaryPercent',
        'config.evidence.alpha',
        'canaryVersionId',
      ]);
    }
  });
});

describe('a metrics provider', () => {
  test('is asked for both sides at every check', async () => {
    const asked: string[] = [];
    const { canary, clock } = deployed(
      {},
      {
        metricsProvider: async (request) => {
          asked.push(`${request.side} ${request.versionId} ${request.strategyId} ${request.chain}`);
          return good(request);
        },
      },
    );
    await clock.advance(60);
    expect(asked).toEqual(['CANARY v42 eth-momentum arbitrum', 'STABLE v41 eth-momentum arbitrum']);
    expect(canary.getStatus()).toMatchObject({ canaryMetrics: { tradeCount: 12 } });
    await clock.advance(3540);
    expect(canary.getStatus().status).toBe('PROMOTED');
    expect(asked).toHaveLength(120);
  });

  const HOSTILE: [string, (request: MetricsRequest) => unknown, string][] = [
    [
      'throws',
      () => {
        throw new Error('no route');
      },
      'no route',
    ],
    ['rejects', () => Promise.reject(new Error('gone')), 'gone'],
    ['hangs', () => new Promise(() => {}), 'did not answer within 10 s'],
    ['answers nothing', () => undefined, 'a report is an object'],
    ['answers NaN', () => ({ pnlUsd: Number.NaN, trades: 1 }), 'pnlUsd is not a number'],
    ['answers garbage', () => ({ pnl: 5 }), 'pnl is not a metric'],
    ['answers negative counts', () => ({ trades: -3 }), 'trades must be a whole number'],
    ['answers a text', () => 'fine, thanks', 'a report is an object'],
    [
      'answers a trap',
      () => ({
        get trades() {
          throw new Error('trap');
        },
      }),
      'trap',
    ],
  ];

  test.each(HOSTILE)(
    'that %s harms nothing, shows, and leads to FAILED',
    async (_how, metricsProvider, words) => {
      const made = make({}, { metricsProvider: metricsProvider as Embedding['metricsProvider'] });
      const { canary, clock, errors } = made;
      canary.deployCanary(1000);
      await clock.advance(71);
      expect(canary.events.at(-1)).toMatchObject({
        type: 'METRICS_UNAVAILABLE',
        message: expect.stringContaining(words),
      });
      expect(canary.getStatus().status).toBe('RUNNING');
      await clock.advance(600);
      expect(canary.getStatus()).toMatchObject({ status: 'FAILED' });
      expect(canary.getStatus().stableCapitalUsd.toFixed()).toBe('1000');
      expect(errors).toEqual([]);
      expect(clock.waiting).toBe(0);
    },
  );

  test('that recovers is believed again; what it no longer answers is gone', async () => {
    let answer: () => GivenReport = () => ({ pnlUsd: 5, trades: 10, sharpeRatio: 1 });
    const { canary, clock } = deployed({}, { metricsProvider: () => answer() });
    await clock.advance(60);
    answer = () => {
      throw new Error('down');
    };
    await clock.advance(60);
    expect(canary.getStatus().canaryMetrics?.metrics.sharpeRatio?.toFixed()).toBe('1');
    answer = () => ({ pnlUsd: 6, trades: 11 });
    await clock.advance(60);
    expect(canary.getStatus().canaryMetrics?.metrics.sharpeRatio).toBeNull();
    expect(canary.events.filter(({ type }) => type === 'METRICS_UNAVAILABLE')).toHaveLength(1);
  });

  test('too slow to keep up is never asked twice at a time, and its late answer is ignored', async () => {
    const open: ((report: GivenReport) => void)[] = [];
    const signals: AbortSignal[] = [];
    const { canary, clock } = deployed(
      { checkIntervalSeconds: 10 },
      {
        providerTimeoutSeconds: 30,
        metricsProvider: ({ signal }) => {
          signals.push(signal);
          return new Promise((resolve) => open.push(resolve));
        },
      },
    );
    await clock.advance(30);
    expect(open).toHaveLength(2);
    await clock.advance(15);
    expect(canary.events.at(-1)?.type).toBe('METRICS_UNAVAILABLE');
    expect(signals[0]?.aborted).toBe(true);
    for (const answer of open.slice(0, 2)) answer({ pnlUsd: 1e6, trades: 1 });
    await clock.advance(1);
    expect(canary.getStatus()).toMatchObject({ canaryMetrics: { tradeCount: 0 } });
  });
});

describe('callbacks', () => {
  test('that throw or reject do no harm and are reported', async () => {
    const { canary, clock, errors } = deployed(
      {},
      {
        onEvent: () => {
          throw new Error('onEvent broke');
        },
        onStateChange: () => Promise.reject(new Error('onStateChange broke')),
        onPromote: () => {
          throw new Error('onPromote broke');
        },
      },
    );
    expect(canary.promoteCanary()).toMatchObject({ success: true, deployment: { status: 'PROMOTED' } });
    await clock.advance(1);
    const wheres = errors.map(([where]) => where);
    expect(wheres).toEqual(expect.arrayContaining(['onEvent', 'onStateChange', 'onPromote']));
    expect(wheres.filter((where) => where === 'onEvent')).toHaveLength(canary.events.length);
  });

  test('an onError that throws harms nothing either', () => {
    const { canary } = deployed(
      {},
      {
        onEvent: () => {
          throw new Error('one');
        },
        onError: () => {
          throw new Error('two');
        },
      },
    );
    expect(canary.rollbackCanary().success).toBe(true);
  });

  test('that send commands get the new events after the current ones', () => {
    const told: string[] = [];
    const { canary } = make(
      {},
      {
        onEvent: ({ no, type }) => {
          told.push(`${no} ${type}`);
          if (type === 'CANARY_STARTED') canary.pause();
        },
      },
    );
    canary.deployCanary(1000);
    expect(told).toEqual([
      '1 DEPLOYMENT_CREATED',
      '2 CANARY_STARTED',
      '3 ALLOCATION_REQUESTED',
      '4 CANARY_PAUSED',
    ]);
    expect(canary.getStatus().status).toBe('PAUSED');
  });

  test('get each event once, in order, with the deployment as it was then', async () => {
    const told: CanaryEvent[] = [];
    const statuses: string[] = [];
    const { canary, clock } = deployed(
      {},
      {
        metricsProvider: good,
        onEvent: (event, { status, eventCount }) => {
          told.push(event);
          statuses.push(status);
          expect(eventCount).toBe(event.no);
        },
      },
    );
    await clock.advance(3600);
    expect(told).toEqual(canary.events);
    expect(statuses.at(0)).toBe('PENDING');
    expect(statuses.at(-1)).toBe('PROMOTED');
    expect(replay(told).status).toBe('PROMOTED');
  });

  test('emitEvents false adds no events to the timeline; changes and decisions are still reported', () => {
    const told: string[] = [];
    const { canary } = deployed(
      { emitEvents: false },
      {
        onEvent: ({ type }) => told.push(type),
        onStateChange: ({ status }) => told.push(status),
        onDecision: ({ decision }) => told.push(decision),
      },
    );
    canary.rollbackCanary();
    expect(told).toEqual(['RUNNING', 'ROLLBACK', 'ROLLED_BACK']);
  });
});

describe('the timer', () => {
  test('stops and starts; a check by hand works all the same', async () => {
    const { canary, clock } = deployed({}, { monitor: false });
    expect(clock.waiting).toBe(0);
    await canary.check();
    expect(canary.events.at(-1)?.type).toBe('CANARY_METRICS_UPDATED');
    canary.start();
    expect(clock.waiting).toBe(1);
    await clock.advance(120);
    const { length } = canary.events;
    expect(length).toBe(6);
    canary.stop();
    await clock.advance(3600);
    expect(canary.events).toHaveLength(length);
    canary.start();
    await clock.advance(1);
    expect(canary.events.length).toBeGreaterThan(length);
  });

  test('called off in the middle of a fetch writes nothing', async () => {
    const { canary, clock } = deployed({}, { metricsProvider: () => new Promise(() => {}) });
    await clock.advance(61);
    const { length } = canary.events;
    canary.stop();
    await clock.advance(100);
    expect(canary.events).toHaveLength(length);
    expect(clock.waiting).toBe(0);
  });

  test('keeps its beat, and time never runs backwards in the log', async () => {
    const { canary, clock } = deployed({ guardrails: NO_GUARDRAILS });
    await clock.advance(60);
    clock.jump(-7200);
    canary.updateCanaryMetrics({ trades: 1 });
    canary.pause();
    clock.jump(10_000);
    canary.resume();
    await clock.advance(60);
    const times = canary.events.map(({ at }) => at);
    expect(times).toEqual([...times].sort((one, other) => one - other));
  });

  test('a pause continues to check the guardrails at its interval', async () => {
    const { canary, clock } = deployed({
      guardrails: { maxStaleSeconds: null, breaches: { maxLossPercent: 4 } },
    });
    canary.pause();
    canary.updateCanaryMetrics({ pnlUsd: -9000 });
    await clock.advance(179);
    expect(canary.getStatus().status).toBe('PAUSED');
    await clock.advance(1);
    expect(canary.getStatus().status).toBe('ROLLED_BACK');
  });
});

describe('documents', () => {
  test('a round trip loses nothing, and a live deployment continues', async () => {
    const { canary, clock } = deployed({}, { metricsProvider: good });
    await clock.advance(600);
    canary.stop();
    const document = JSON.parse(JSON.stringify(canary.toDict()));
    const told: string[] = [];
    const restored = CanaryDeployment.fromDict(document, {
      clock,
      metricsProvider: good,
      onStateChange: ({ status }) => told.push(status),
    });
    onTestFinished(() => restored.stop());
    expect(restored.toDict()).toEqual(document);
    expect(restored.getStatus()).toEqual(canary.getStatus());
    await clock.advance(3000);
    expect(restored.getStatus().status).toBe('PROMOTED');
    expect(told).toEqual(['PROMOTED']);
    expect(restored.events.map(({ no }) => no)).toEqual(restored.events.map((_, index) => index + 1));
  });

  test('a deadline that passed unwatched ends nothing: the observation continues where it was', async () => {
    const { canary, clock } = deployed();
    canary.updateCanaryMetrics({ pnlUsd: 100, trades: 20 });
    canary.updateStableMetrics({ pnlUsd: 100, trades: 20 });
    canary.stop();
    const document = canary.toDict();
    clock.jump(86_400);
    const restored = CanaryDeployment.fromDict(document, { clock });
    await clock.advance(0);
    expect(restored.getStatus()).toMatchObject({ status: 'RUNNING', observationRemainingSeconds: 3600 - 90 });
    expect(restored.events.map(({ type }) => type)).toContain('WATCH_RESUMED');
    restored.stop();
  });

  test('what is no document is refused with the place', () => {
    const { canary } = deployed();
    const document = JSON.parse(JSON.stringify(canary.toDict()));
    document.events[0].config.checkIntervalSeconds = 1;
    expect(() => CanaryDeployment.fromDict(document)).toThrow(
      /config.checkIntervalSeconds must be between 10 and 86400, got 1/,
    );
    for (const nothing of [null, 5, 'text', [], {}]) {
      expect(() => CanaryDeployment.fromDict(nothing)).toThrow(InvalidDeployment);
    }
  });
});

describe('freezes of the program', () => {
  test('refuse what raises risk until they end, unless overridden; what lowers risk is allowed', () => {
    let until: number | null = Number.POSITIVE_INFINITY;
    const { canary, clock } = make({}, { freezes: () => until });
    expect(canary.deployCanary(1000).error).toMatchObject({ code: 'FROZEN' });
    until = clock.now() + 60_000;
    expect(canary.deployCanary(1000).message).toContain(new Date(until).toISOString());
    expect(canary.deployCanary(1000, { overrideFreeze: true }).success).toBe(true);
    expect(canary.events.find(({ type }) => type === 'CANARY_STARTED')).toMatchObject({
      overrodeFreeze: 'program',
    });
    expect(canary.promoteCanary().error?.code).toBe('FROZEN');
    until = clock.now();
    expect(canary.promoteCanary().success).toBe(true);
    const other = make({}, { freezes: (block) => (block === 'PROMOTE' ? Number.POSITIVE_INFINITY : null) });
    expect(other.canary.deployCanary(1000).success).toBe(true);
    expect(other.canary.promoteCanary().error?.code).toBe('FROZEN');
    expect(other.canary.rollbackCanary().success).toBe(true);
  });

  test('a function that throws freezes, and is reported; a guardrail is not held up by it', () => {
    const freezes = () => {
      throw new Error('no calendar');
    };
    const { canary, errors } = make(
      { guardrails: { maxLossPercent: 5, maxStaleSeconds: null } },
      { freezes },
    );
    expect(canary.deployCanary(1000).error?.code).toBe('FROZEN');
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toEqual(['freezes', 'Error: no calendar']);
    canary.deployCanary(1000, { overrideFreeze: true });
    canary.updateCanaryMetrics({ pnlUsd: -50, trades: 3 });
    expect(canary.getStatus().status).toBe('ROLLED_BACK');
  });
});
