/**
 * Two canaries on twenty years of real prices: one earns its promotion, one is rolled back. Each has a bot on both
 * sides, and all of them are ordinary clients of a running Serin.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Bot } from '../examples/bot.ts';
import { MovingAverageTrader, type MovingAverageVersion } from '../examples/movingAverage.ts';
import { type MarketDay, readPrices } from '../examples/prices.ts';
import type { Side } from '../src/client/index.ts';
import type { Api } from './api.ts';
import { isEnded } from './panel.ts';
import type { Screen } from './screen.ts';

/** Serin's clock runs this many times faster than real time: an observation of fifty minutes takes half a minute. */
export const TIME_SCALE = 90;
/** A day of the market passes between two checks. */
export const CHECK_SECONDS = 10;
const DAY_MS = (CHECK_SECONDS * 1000) / TIME_SCALE;
export const STRATEGY = 'sp500-trend';
const CAPITAL_USD = '1000000';
const FIRST_DAY = '2008-12-12';

interface Trial {
  readonly title: string;
  readonly deploymentId: string;
  readonly stable: MovingAverageVersion;
  readonly canary: MovingAverageVersion;
  readonly config: Record<string, unknown>;
}

const FAST: MovingAverageVersion = { id: 'ma-20', window: 20 };
const CALM = { checkIntervalSeconds: CHECK_SECONDS, guardrails: { maxStaleSeconds: 900 } };

const TRIALS: readonly Trial[] = [
  {
    title: 'A faster moving average, in two steps: 10 % of the capital, then 25 %',
    deploymentId: 'dep_faster',
    stable: { id: 'ma-50', window: 50 },
    canary: FAST,
    config: {
      ...CALM,
      promotionCriteria: { minTrades: 3 },
      steps: [
        { canaryPercent: 10, minutes: 20 },
        { canaryPercent: 25, minutes: 30 },
      ],
    },
  },
  {
    title: 'The same signals, but it sells and buys back its position every morning',
    deploymentId: 'dep_churning',
    stable: FAST,
    canary: { id: 'ma-20-reentering', window: 20, reentersDaily: true },
    config: { ...CALM, observationPeriodMinutes: 40, onInconclusive: 'ROLLBACK' },
  },
];

/** The market, a day at a time; both bots of a trial see the same day. */
interface Market {
  readonly prices: readonly MarketDay[];
  today: number;
}

interface Stage {
  readonly api: Api;
  /** Where Serin is, without a path. */
  readonly url: string;
  readonly screen: Screen;
}

/** Runs both, one after the other; returns once both have ended. Takes about a minute. */
export async function runTrials(stage: Stage): Promise<void> {
  const timeline = printTimeline(stage);
  const prices = readPrices();
  const market: Market = { prices, today: prices.findIndex(({ date }) => date >= FIRST_DAY) };
  for (const trial of TRIALS) await runTrial(trial, market, stage);
  await timeline;
}

/** One trial from its creation to its end, with a bot on each side. */
async function runTrial(trial: Trial, market: Market, { api, url, screen }: Stage): Promise<void> {
  const { deploymentId, stable, canary, config, title } = trial;
  screen.heading(title);
  await api.command('createDeployment', 'CreateDeploymentInput', {
    id: deploymentId,
    strategyId: STRATEGY,
    stableVersionId: stable.id,
    canaryVersionId: canary.id,
    chain: 'nyse',
    config,
  });
  await api.command('deployCanary', 'DeployCanaryInput', { deploymentId, capitalUsd: CAPITAL_USD });
  const history = market.prices.slice(0, market.today);
  const botFor = (side: Side, version: MovingAverageVersion) =>
    Bot.open({ url, deploymentId, side, trader: new MovingAverageTrader(version, history) });
  const bots = await Promise.all([botFor('CANARY', canary), botFor('STABLE', stable)]);
  const begun = performance.now();
  const obeying = bots.map((bot) => bot.obey());
  const watching = showUntilEnded(deploymentId, market, { api, screen });

  // Both bots report in the middle between two checks, so that a check sees the same days of both.
  for (let due = begun + DAY_MS / 2; bots.some((bot) => !bot.ended); due += DAY_MS) {
    await sleep(Math.max(0, due - performance.now()));
    const day = market.prices[market.today];
    if (!day) throw new Error('the prices end before the trial does');
    market.today += 1;
    await Promise.all(bots.map((bot) => bot.trade(day)));
  }
  await Promise.all([...obeying, watching]);
  screen.settle();
}

/** Draws every change. Where Serin leaves the decision to a person, the demo is that person, so that it ends. */
async function showUntilEnded(
  deploymentId: string,
  market: Market,
  { api, screen }: Pick<Stage, 'api' | 'screen'>,
): Promise<void> {
  let decided = false;
  for await (const deployment of api.watch(deploymentId)) {
    screen.show(deployment, market.prices[market.today]?.date ?? '');
    if (isEnded(deployment)) return;
    if (deployment.status !== 'OBSERVATION_COMPLETE' || decided) continue;
    decided = true;
    screen.say('  Serin leaves this decision to a person. The demo rolls the canary back.');
    await api.command('rollbackCanary', 'RollbackCanaryInput', { deploymentId, reason: 'not convincing' });
  }
}

/** Prints the strategy's timeline as it grows; ends with the last allocation of the last trial. */
async function printTimeline({ api, screen }: Stage): Promise<void> {
  let left = TRIALS.length;
  for await (const event of api.timeline(STRATEGY)) {
    screen.event(event);
    if (['CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_FAILED'].includes(event.type)) left -= 1;
    if (event.type === 'ALLOCATION_REQUESTED' && left === 0) return;
  }
}
