/** A desk of canaries for tests and pictures of the console: made through the API, traded by a seeded market. */
import { setTimeout as sleep } from 'node:timers/promises';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Data, TestCaller } from '../harness/serin.ts';

export const CHECK_SECONDS = 10;
export const CAPITAL_USD = 100_000;
/** The share of the capital that the canary has in its first step. */
const FIRST_SHARE = 0.1;

export interface CanaryPlan {
  readonly id: string;
  readonly strategyId: string;
  readonly chain?: string;
  readonly canaryVersionId?: string;
  readonly stableVersionId?: string;
  /** How much more than stable the canary earns a check, as a fraction of its capital. */
  readonly edge?: number;
  /** Standard deviation of a check's return. */
  readonly volatility?: number;
  readonly config?: Record<string, unknown>;
  /** Whether the bots say what they hold. */
  readonly acknowledges?: boolean;
  /** Whether capital is given at once. */
  readonly deployed?: boolean;
}

/** No policy of its own ends these: tests say when. */
export const UNHURRIED = {
  checkIntervalSeconds: CHECK_SECONDS,
  observationPeriodMinutes: 240,
  autoPromote: false,
  autoRollback: false,
  guardrails: { maxStaleSeconds: null, maxLossPercent: '20', maxDrawdown: '0.2' },
};

const RAMP = {
  steps: [
    { canaryPercent: '10', minutes: 30 },
    { canaryPercent: '25', minutes: 240 },
  ],
};

/** Canaries of every kind: better, worse, the same, waiting, near a limit, unanswered, not deployed. */
export const DESK: readonly CanaryPlan[] = [
  { id: 'dep_momentum', strategyId: 'eth-momentum', chain: 'ethereum', edge: 0.00035, config: RAMP },
  { id: 'dep_arb', strategyId: 'sol-arb', chain: 'solana', edge: 0.0005, config: { autoPromote: false } },
  { id: 'dep_trend', strategyId: 'btc-trend', chain: 'bitcoin', edge: -0.0005 },
  { id: 'dep_grid', strategyId: 'op-grid', chain: 'optimism', config: { observationPeriodMinutes: 5 } },
  { id: 'dep_carry', strategyId: 'eth-carry', chain: 'ethereum', acknowledges: false },
  { id: 'dep_pairs', strategyId: 'link-pairs', chain: 'ethereum', edge: 0.0001 },
  {
    id: 'dep_maker',
    strategyId: 'base-maker',
    chain: 'base',
    edge: -0.0002,
    config: { guardrails: { maxStaleSeconds: null, maxLossUsd: '420', maxDrawdown: '0.05' } },
  },
  { id: 'dep_basis', strategyId: 'btc-basis', chain: 'bitcoin', edge: 0.0002 },
  { id: 'dep_liquidity', strategyId: 'avax-liquidity', chain: 'avalanche', deployed: false },
].map((plan, index) => ({
  ...plan,
  canaryVersionId: `v${40 + index}`,
  stableVersionId: `v${39 + index}`,
}));

interface Book {
  pnl: number;
  peak: number;
  drawdown: number;
  trades: number;
  wins: number;
}

const emptyBook = (): Book => ({ pnl: 0, peak: 0, drawdown: 0, trades: 0, wins: 0 });

/** Deployments that are made at the same time. */
const TOGETHER = 25;

/** Makes the deployments, gives them capital, and has both sides of each acknowledge it: one request for each deployment. */
export async function begin(serin: TestCaller, plans: readonly CanaryPlan[]): Promise<Desk> {
  for (let from = 0; from < plans.length; from += TOGETHER) {
    await Promise.all(plans.slice(from, from + TOGETHER).map((plan) => beginOne(serin, plan)));
  }
  return createDesk(
    serin,
    plans.filter(({ deployed }) => deployed !== false),
  );
}

const BEGIN = `mutation($create: CreateDeploymentInput!, $deploy: DeployCanaryInput!, $canary: AcknowledgeAllocationInput!,
  $stable: AcknowledgeAllocationInput!, $deployed: Boolean!, $acknowledged: Boolean!) {
  createDeployment(input: $create) { success message }
  deployCanary(input: $deploy) @include(if: $deployed) { success message }
  canary: acknowledgeAllocation(input: $canary) @include(if: $acknowledged) { success message }
  stable: acknowledgeAllocation(input: $stable) @include(if: $acknowledged) { success message }
}`;

async function beginOne(serin: TestCaller, plan: CanaryPlan): Promise<void> {
  const { id, strategyId, chain, canaryVersionId = 'v2', stableVersionId = 'v1', config } = plan;
  const deployed = plan.deployed !== false;
  const acknowledge = (side: string, share: number) => ({
    deploymentId: id,
    idempotencyKey: `acknowledge-${side}-${id}`,
    side,
    number: 1,
    heldUsd: String(CAPITAL_USD * share),
  });
  const variables = {
    create: {
      idempotencyKey: `create-${id}`,
      id,
      strategyId,
      ...(chain === undefined ? {} : { chain }),
      canaryVersionId,
      stableVersionId,
      config: { ...UNHURRIED, ...(config?.steps ? { observationPeriodMinutes: undefined } : {}), ...config },
    },
    deploy: { idempotencyKey: `deploy-${id}`, deploymentId: id, capitalUsd: String(CAPITAL_USD) },
    canary: acknowledge('CANARY', FIRST_SHARE),
    stable: acknowledge('STABLE', 1 - FIRST_SHARE),
    deployed,
    acknowledged: deployed && plan.acknowledges !== false,
  };
  const answers = await patiently(() => serin.ask(BEGIN, variables));
  for (const { success, message } of Object.values<Data>(answers)) {
    if (!success) throw new Error(`${id}: ${message}`);
  }
}

/** Asks again while a busy machine does not answer in time; what is asked does nothing twice. */
async function patiently<T>(ask: () => Promise<T>, tries = 5): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (tries <= 1 || !String(error).includes('did not respond in time')) throw error;
    return patiently(ask, tries - 1);
  }
}

export interface Desk {
  /** Both sides of every canary trade and report once; `canaries` narrows it. */
  report(canaries?: readonly string[]): Promise<void>;
  /** Reports so many times, with a pause in between for a check to be made. */
  trade(rounds: number, pauseMs: number): Promise<void>;
}

function createDesk(serin: TestCaller, plans: readonly CanaryPlan[]): Desk {
  const random = xoroshiro128plus(20261128);
  /** A standard normal number (Box and Muller). */
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - uniformFloat64(random))) * Math.cos(2 * Math.PI * uniformFloat64(random));
  const books = new Map(plans.map(({ id }) => [id, { CANARY: emptyBook(), STABLE: emptyBook() }]));

  function earn(book: Book, fraction: number, capital: number): void {
    book.pnl += fraction * capital;
    book.peak = Math.max(book.peak, book.pnl);
    book.drawdown = Math.max(book.drawdown, (book.peak - book.pnl) / capital);
    book.trades += 2;
    if (fraction > 0) book.wins += 1;
  }

  const report: Desk['report'] = async (canaries) => {
    const reports = [];
    for (const { id, edge = 0, volatility = 0.0006 } of plans) {
      const both = books.get(id);
      if (!both || (canaries && !canaries.includes(id))) continue;
      const market = normal() * volatility;
      earn(both.CANARY, market + edge + normal() * volatility * 0.7, CAPITAL_USD * 0.1);
      earn(both.STABLE, market + normal() * volatility * 0.3, CAPITAL_USD * 0.9);
      for (const side of ['CANARY', 'STABLE'] as const) {
        const { pnl, drawdown, trades, wins } = both[side];
        reports.push({
          deploymentId: id,
          side,
          pnlUsd: pnl.toFixed(2),
          totalPnlUsd: (pnl + trades * 0.02).toFixed(2),
          drawdown: drawdown.toFixed(6),
          trades,
          errors: Math.floor(trades / 60),
          winRate: (wins / (trades / 2)).toFixed(4),
          sharpeRatio: (pnl / 1000).toFixed(3),
          totalGasUsd: (trades * 0.02).toFixed(2),
          avgTradeSizeUsd: '2500',
        });
      }
    }
    for (let first = 0; first < reports.length; first += 400) {
      await serin.ask(
        'mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { success message } }',
        { input: { reports: reports.slice(first, first + 400) } },
      );
    }
  };
  return {
    report,
    async trade(rounds, pauseMs) {
      for (let round = 0; round < rounds; round += 1) {
        await report();
        await sleep(pauseMs);
      }
    },
  };
}
