/** Random lives through GraphQL on the real database, held against the model: the row is what its log replays to. */
import { drizzle } from 'drizzle-orm/postgres-js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import type { CanaryStatus } from '../../src/core/lifecycle/state.ts';
import { findDeployment } from '../../src/store/deployments/deployments.ts';
import { readDeploymentEvents } from '../../src/store/log/deploymentEvents.ts';
import { command, create, report, statusOf } from '../harness/deployment.ts';
import { LEADS_TO, ORDERS, type Order, TAKEN_IN, TERMINAL } from '../harness/life.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const MUTATIONS: Record<Order, string> = {
  DEPLOY: 'deployCanary',
  PROMOTE: 'promoteCanary',
  ROLLBACK: 'rollbackCanary',
  CANCEL: 'cancelDeployment',
  PAUSE: 'pauseDeployment',
  RESUME: 'resumeDeployment',
  EXTEND: 'extendObservation',
  ADVANCE_STEP: 'advanceStep',
};

/** Two steps of a day, each checked once, at its end. */
const CONFIG = {
  checkIntervalSeconds: 86_400,
  guardrails: { maxStaleSeconds: null, maxLossPercent: '20' },
  steps: [
    { canaryPercent: '12.5', minutes: 1440 },
    { canaryPercent: '33.3', minutes: 1440 },
  ],
};

interface Model {
  status: CanaryStatus;
  step: number;
}

/** A deployment behind the API. */
interface Real {
  readonly id: string;
}

async function expectSound({ id }: Real, model: Model): Promise<void> {
  const db = drizzle(serin.database.sql);
  const view = await findDeployment(db, id);
  const log = (await readDeploymentEvents(db, id)).map(({ event }) => event);
  expect(view?.state).toEqual(replay(log));
  expect(view?.state.status).toBe(model.status);
  expect(log.map(({ no }) => no)).toEqual(log.map((_, index) => index + 1));
  expect(log.filter(({ type }) => TERMINAL.includes(type)).length).toBeLessThanOrEqual(1);
  const [row] = await serin.database.sql`
    select status, coalesce(canary_capital_usd + stable_capital_usd = total_capital_usd, true) as whole
    from deployments where id = ${id}`;
  expect(row).toEqual({ status: model.status, whole: true });
}

class Orders implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly order: Order,
    readonly cents: number,
  ) {}
  check = () => true;
  toString = () => `${this.order} ${this.cents}`;

  async run(model: Model, real: Real): Promise<void> {
    const more =
      this.order === 'DEPLOY' ? { capitalUsd: `${this.cents}.${String(this.cents).padStart(18, '0')}` } : {};
    const answer = await command(serin, MUTATIONS[this.order], real.id, more);
    const last = this.order === 'ADVANCE_STEP' && model.step === 1;
    const taken = TAKEN_IN[this.order].includes(model.status) && !last;
    expect(answer.success, answer.message).toBe(taken);
    expect(answer.error?.code).toBe(taken ? undefined : 'INVALID_TRANSITION');
    if (taken) model.status = LEADS_TO[this.order];
    if (taken && this.order === 'ADVANCE_STEP') model.step += 1;
    expect(answer.deployment.status).toBe(model.status);
    await expectSound(real, model);
  }
}

class Reports implements fc.AsyncCommand<Model, Real> {
  constructor(
    readonly side: 'Canary' | 'Stable',
    readonly ruinous: boolean,
  ) {}
  check = () => true;
  toString = () => `${this.side} reports${this.ruinous ? ' ruin' : ''}`;

  async run(model: Model, real: Real): Promise<void> {
    const watched = ['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'].includes(model.status);
    const pnlUsd = this.ruinous && this.side === 'Canary' ? '-99999999999' : '0.000000000000000001';
    const answer = await report(serin, this.side, real.id, { pnlUsd, trades: 1 });
    expect(answer.success, answer.message).toBe(watched);
    if (watched && pnlUsd.startsWith('-')) model.status = 'ROLLED_BACK';
    expect(answer.deployment.status).toBe(model.status);
    await expectSound(real, model);
  }
}

/** The step ends with too few trades to decide on: a person must. */
class DayPasses implements fc.AsyncCommand<Model, Real> {
  check = ({ status }: Model) => status === 'RUNNING';
  toString = () => 'a day passes';

  async run(model: Model, real: Real): Promise<void> {
    await serin.advance(86_400);
    await until(async () => (await statusOf(serin, real.id)) !== 'RUNNING');
    model.status = 'OBSERVATION_COMPLETE';
    await expectSound(real, model);
  }
}

const order = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('DEPLOY', 'PAUSE', 'RESUME', 'EXTEND', 'ADVANCE_STEP') },
  { weight: 1, arbitrary: fc.constantFrom(...ORDERS) },
) satisfies fc.Arbitrary<Order>;

const life = fc.commands<Model, Real, false>(
  [
    fc.tuple(order, fc.integer({ min: 1, max: 10 ** 9 })).map(([name, cents]) => new Orders(name, cents)),
    fc
      .tuple(fc.constantFrom('Canary' as const, 'Stable' as const), fc.integer({ min: 0, max: 3 }))
      .map(([side, luck]) => new Reports(side, luck === 0)),
    fc.constant(new DayPasses()),
  ],
  { maxCommands: 14 },
);

test('random lives never leave the model, and the row is what its log replays to', async () => {
  await fc.assert(
    fc.asyncProperty(life, fc.boolean(), async (commands, deployed) => {
      const { deployment } = await create(serin, { config: CONFIG });
      const real: Real = { id: deployment.id };
      const model: Model = { status: 'PENDING', step: 0 };
      if (deployed) await new Orders('DEPLOY', 100_000).run(model, real);
      await fc.asyncModelRun(() => ({ model, real }), commands);
    }),
    { numRuns: 10 },
  );
}, 120_000);
