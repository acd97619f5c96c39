/**
 * Random lives of a deployment, and a small model of the lifecycle: in which statuses a command is allowed and which
 * status follows. What the model does not predict (the decision of a check) is tested against invariants.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { CanaryConfigInput } from '../../src/core/config/parseConfig.ts';
import type { Command } from '../../src/core/lifecycle/command.ts';
import type { CanaryEvent } from '../../src/core/lifecycle/events.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { allocationOf, type CanaryStatus, observationOf } from '../../src/core/lifecycle/state.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { type Figures, Trial } from './trial.ts';

export const ORDERS = [
  'DEPLOY',
  'PROMOTE',
  'ROLLBACK',
  'CANCEL',
  'PAUSE',
  'RESUME',
  'EXTEND',
  'ADVANCE_STEP',
] as const;
export type Order = (typeof ORDERS)[number];

/** The lifecycle of the specification, written independently of the engine. */
export const TAKEN_IN: Record<Order, readonly CanaryStatus[]> = {
  DEPLOY: ['PENDING'],
  PROMOTE: ['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
  ROLLBACK: ['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
  CANCEL: ['PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
  PAUSE: ['RUNNING'],
  RESUME: ['PAUSED'],
  EXTEND: ['OBSERVATION_COMPLETE'],
  ADVANCE_STEP: ['RUNNING', 'OBSERVATION_COMPLETE'],
};

export const LEADS_TO: Record<Order, CanaryStatus> = {
  DEPLOY: 'RUNNING',
  PROMOTE: 'PROMOTED',
  ROLLBACK: 'ROLLED_BACK',
  CANCEL: 'CANCELLED',
  PAUSE: 'PAUSED',
  RESUME: 'RUNNING',
  EXTEND: 'RUNNING',
  ADVANCE_STEP: 'RUNNING',
};

/** The statuses that a check may lead to from each status, besides the same one. */
const A_LOOK_LEADS_TO: Record<CanaryStatus, readonly CanaryStatus[]> = {
  PENDING: [],
  RUNNING: ['OBSERVATION_COMPLETE', 'PROMOTED', 'ROLLED_BACK', 'FAILED'],
  PAUSED: ['OBSERVATION_COMPLETE', 'ROLLED_BACK'],
  OBSERVATION_COMPLETE: ['ROLLED_BACK'],
  PROMOTED: [],
  ROLLED_BACK: [],
  CANCELLED: [],
  FAILED: [],
};

export interface Model {
  status: CanaryStatus;
  step: number;
  steps: number;
  /** Another deployment has moved the strategy's stable version. */
  stableMoved: boolean;
}

export const TERMINAL = ['CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED'];

/** The invariants after every command. */
export function expectSound(trial: Trial): void {
  const { log, state } = trial;
  expect(log.map(({ no }) => no)).toEqual(log.map((_, index) => index + 1));
  expect(replay(log)).toEqual(state);
  expect(log.filter(({ type }) => TERMINAL.includes(type)).length).toBeLessThanOrEqual(1);
  const allocation = allocationOf(state);
  if (allocation) expect(allocation.canaryUsd.plus(allocation.stableUsd).eq(allocation.totalUsd)).toBe(true);
  expectAllocations(log);
}

/** Allocations are numbered and always split the same capital. */
function expectAllocations(log: readonly CanaryEvent[]): void {
  const requests = log.flatMap((event) => (event.type === 'ALLOCATION_REQUESTED' ? [event] : []));
  expect(requests.map(({ number }) => number)).toEqual(requests.map((_, index) => index + 1));
  expect(new Set(requests.map(({ totalUsd }) => totalUsd.toFixed())).size).toBeLessThanOrEqual(1);
}

class Orders implements fc.Command<Model, Trial> {
  constructor(
    readonly order: Order,
    readonly command: Command,
  ) {}
  check = () => true;
  toString = () => this.order;

  run(model: Model, trial: Trial): void {
    const before = trial.state;
    const verdict = trial.try(this.command);
    const last = model.step + 1 >= model.steps;
    const exists = TAKEN_IN[this.order].includes(model.status) && !(this.order === 'ADVANCE_STEP' && last);
    const current = !model.stableMoved || !['DEPLOY', 'PROMOTE', 'ADVANCE_STEP'].includes(this.order);
    expect(verdict.accepted).toBe(exists && current);
    if (verdict.accepted) {
      model.status = LEADS_TO[this.order];
      if (this.order === 'ADVANCE_STEP') model.step += 1;
    } else expect(trial.state).toBe(before);
    expect(trial.status).toBe(model.status);
    expectSound(trial);
  }
}

class Look implements fc.Command<Model, Trial> {
  constructor(
    readonly name: string,
    readonly verify: (trial: Trial) => void,
  ) {}
  check = () => true;
  toString = () => this.name;

  run(model: Model, trial: Trial): void {
    this.verify(trial);
    if (trial.status !== model.status) expect(A_LOOK_LEADS_TO[model.status]).toContain(trial.status);
    const step = observationOf(trial.state)?.step.index ?? 0;
    expect(step).toBeGreaterThanOrEqual(model.step);
    expect(step).toBeLessThan(model.steps);
    if (model.stableMoved) expect(trial.status).not.toBe('PROMOTED');
    model.status = trial.status;
    model.step = step;
    expectSound(trial);
  }
}

class StableMoves implements fc.Command<Model, Trial> {
  check = ({ status }: Model) => status !== 'PROMOTED';
  toString = () => 'another deployment is promoted';
  run(model: Model, trial: Trial): void {
    model.stableMoved = true;
    trial.stableVersionId = 'v1.1';
  }
}

/** Commands that end a life are rare, so that lives are long. */
const anyOrder: fc.Arbitrary<Order> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('DEPLOY', 'PAUSE', 'RESUME', 'EXTEND', 'ADVANCE_STEP') },
  { weight: 1, arbitrary: fc.constantFrom('PROMOTE', 'ROLLBACK', 'CANCEL') },
);

const orders = fc
  .tuple(anyOrder, fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 10 ** 9 }))
  .map(([order, minutes, cents]): Orders => {
    const reason = null;
    if (order === 'DEPLOY') {
      return new Orders(order, { type: order, capitalUsd: decimal(cents).div(100), reason });
    }
    if (order === 'EXTEND') return new Orders(order, { type: order, minutes, reason });
    return new Orders(order, { type: order, reason });
  });

const report = fc
  .record({
    side: fc.constantFrom('CANARY' as const, 'STABLE' as const),
    pnlUsd: fc.integer({ min: -3000, max: 9000 }),
    trades: fc.integer({ min: 0, max: 30 }),
    errors: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ side, ...given }) => {
    const figures: Figures = given;
    return new Look(`${side} reports ${JSON.stringify(given)}`, (trial) => {
      if (trial.state.status !== 'PENDING' && !('endedAt' in trial.state)) trial.report(side, figures);
    });
  });

const checks = fc.integer({ min: 1, max: 6 }).map(
  (count) =>
    new Look(`${count} checks`, (trial) => {
      for (let check = 0; check < count; check += 1) lookOnce(trial, null);
    }),
);
const failing = fc.constant(new Look('the provider fails', (trial) => lookOnce(trial, 'timed out')));
const late = fc
  .integer({ min: 1, max: 9000 })
  .map((seconds) => new Look(`${seconds} s pass`, (trial) => trial.wait(seconds)));

function lookOnce(trial: Trial, failure: string | null): void {
  if (trial.state.status === 'PENDING' || 'endedAt' in trial.state) trial.do({ type: 'CHECK', failure });
  else trial.check(failure);
}

const answer = fc
  .tuple(fc.constantFrom('CANARY' as const, 'STABLE' as const), fc.integer({ min: 0, max: 10 ** 7 }))
  .map(
    ([side, heldUsd]) =>
      new Look(`${side} holds ${heldUsd}`, (trial) => {
        const allocation = allocationOf(trial.state);
        if (!allocation) return;
        trial.do({ type: 'ACKNOWLEDGE', number: allocation.number, side, heldUsd: decimal(heldUsd) });
      }),
  );

export interface Setup {
  readonly config: CanaryConfigInput;
  readonly steps: number;
  /** Null if the deployment is not deployed yet. */
  readonly capitalUsd: number | null;
}

/** A deployment at the start of a life, and its model. */
export function born({ config, steps, capitalUsd }: Setup): { readonly model: Model; readonly real: Trial } {
  const status = capitalUsd === null ? 'PENDING' : 'RUNNING';
  return {
    model: { status, step: 0, steps, stableMoved: false },
    real: new Trial(config, capitalUsd),
  };
}

const setups = fc
  .record({
    steps: fc.integer({ min: 1, max: 3 }),
    manual: fc.boolean(),
    autoPromote: fc.boolean(),
    autoRollback: fc.boolean(),
    onInconclusive: fc.constantFrom('WAIT' as const, 'EXTEND' as const, 'ROLLBACK' as const),
    earlyPromote: fc.boolean(),
    minTrades: fc.constantFrom(0, 5, 20),
    breaches: fc.constantFrom(1, 2),
    mode: fc.constantFrom('AUTO' as const, 'OFF' as const),
    capitalUsd: fc.option(fc.constant(100_000), { freq: 5 }),
  })
  .map(({ steps, manual, minTrades, breaches, capitalUsd, mode, ...more }): Setup => {
    const ramp = Array.from({ length: steps }, (_, index) => ({
      canaryPercent: 10 + index * 15,
      minutes: 6,
      gate: manual && index === 0 ? ('MANUAL' as const) : ('AUTO' as const),
    }));
    return {
      steps,
      capitalUsd,
      config: {
        ...more,
        steps: ramp,
        promotionCriteria: { minTrades },
        guardrails: { breaches: { maxLossPercent: breaches } },
        evidence: { mode, minSamples: 10 },
      },
    };
  });

/** Changes of the configuration: some safer, some looser, some impossible while it runs. A trip may follow at once. */
const updates = fc
  .record(
    {
      guardrails: fc.record({ maxLossUsd: fc.constantFrom(null, 500, 2000) }),
      autoPromote: fc.boolean(),
      autoRollback: fc.boolean(),
      observationPeriodMinutes: fc.constantFrom(6, 12, 18),
      evidence: fc.record({ alpha: fc.constantFrom(0.03, 0.05) }),
    },
    { requiredKeys: [] },
  )
  .map(
    (patch) =>
      new Look(`the configuration becomes ${JSON.stringify(patch)}`, (trial) => {
        const before = trial.state;
        const handled = trial.try({ type: 'UPDATE_CONFIG', patch, reason: null });
        if (!handled.accepted) expect(trial.state).toBe(before);
      }),
  );

const rarely = (command: StableMoves) =>
  fc.integer({ min: 0, max: 5 }).map((luck) => (luck === 0 ? command : new Look('nothing', () => {})));

/** A configuration and the commands of one life. */
export function lives({ maxCommands }: { readonly maxCommands: number }) {
  return fc.record({
    setup: setups,
    commands: fc.commands<Model, Trial>(
      [
        orders,
        report,
        report,
        checks,
        checks,
        checks,
        failing,
        late,
        answer,
        updates,
        rarely(new StableMoves()),
      ],
      { maxCommands },
    ),
  });
}
