/**
 * The demo: two canaries on twenty years of real prices, one promoted and one rolled back, live. Serin runs as its own
 * process; two bots and a feed are its ordinary clients. `npm run demo -- --keep` leaves the server up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Bot, type Side } from '../examples/bot.ts';
import { MovingAverageTrader, type MovingAverageVersion } from '../examples/movingAverage.ts';
import { type MarketDay, readPrices } from '../examples/prices.ts';
import { type Api, connect, type DeploymentStatus } from './api.ts';
import { createScreen, type Screen } from './screen.ts';
import { startServer } from './server.ts';

/** Seconds of Serin's time in a real one: an observation of fifty minutes is over in half a minute. */
const TIME_SCALE = 90;
/** A day of the market passes between two checks. */
const CHECK_SECONDS = 10;
const DAY_MS = (CHECK_SECONDS * 1000) / TIME_SCALE;
const STRATEGY = 'sp500-trend';
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
    title: 'A faster average, in two steps: 10 % of the capital, then 25 %',
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

async function main(): Promise<void> {
  const keep = process.argv.includes('--keep');
  const screen = createScreen();
  screen.say('Serin starts, with its own PostgreSQL …');
  const server = await startServer(TIME_SCALE);
  const api = connect(server.url);
  const stop = async () => {
    await api.close();
    await server.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stop().then(() => process.exit(0)));
  }
  screen.say(`Serin is up at ${server.url}/graphql. Its clock runs ${TIME_SCALE} times as fast as yours,`);
  screen.say(`and a day of the S&P 500 passes every ${CHECK_SECONDS} of its seconds.`);

  const timeline = follow(api, screen);
  const prices = readPrices();
  const market: Market = { prices, today: prices.findIndex(({ date }) => date >= FIRST_DAY) };
  for (const trial of TRIALS) await run(trial, { api, url: server.url, screen, market });
  await timeline.ended;

  explain(screen, server.url, keep);
  if (!keep) await stop();
}

interface Stage {
  readonly api: Api;
  readonly url: string;
  readonly screen: Screen;
  readonly market: Market;
}

/** One trial from its creation to its end, with a bot on each side. */
async function run(trial: Trial, { api, url, screen, market }: Stage): Promise<void> {
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
  const begun = performance.now();

  const history = market.prices.slice(0, market.today);
  const botFor = (side: Side, version: MovingAverageVersion) =>
    new Bot({ url: `${url}/graphql`, deploymentId, side, trader: new MovingAverageTrader(version, history) });
  const bots = [botFor('CANARY', canary), botFor('STABLE', stable)];
  const obeying = bots.map((bot) => bot.obey());
  const watching = showUntilEnded(api.watch(deploymentId), screen, market);

  // Both bots report in the middle between two checks, so that a check sees the same days of both.
  for (let due = begun + DAY_MS / 2; bots.some((bot) => !bot.ended); due += DAY_MS) {
    await sleep(Math.max(0, due - performance.now()));
    const day = market.prices[market.today];
    if (!day) throw new Error('the prices are over before the trial is');
    market.today += 1;
    await Promise.all(bots.map((bot) => bot.trade(day)));
  }
  await Promise.all([...obeying, watching]);
  screen.settle();
}

async function showUntilEnded(
  updates: AsyncIterable<DeploymentStatus>,
  screen: Screen,
  market: Market,
): Promise<void> {
  for await (const deployment of updates) {
    screen.show(deployment, market.prices[market.today]?.date ?? '');
    if (['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED'].includes(deployment.status)) return;
  }
}

/** Prints the strategy's timeline as it grows; ends with the last allocation of the last trial. */
function follow(api: Api, screen: Screen): { readonly ended: Promise<void> } {
  const print = async () => {
    let left = TRIALS.length;
    for await (const event of api.timeline(STRATEGY)) {
      screen.event(event);
      if (event.type === 'CANARY_PROMOTED' || event.type === 'CANARY_ROLLED_BACK') left -= 1;
      if (event.type === 'ALLOCATION_REQUESTED' && left === 0) return;
    }
  };
  return { ended: print() };
}

function explain(screen: Screen, url: string, keep: boolean): void {
  screen.say(
    '\nBoth decisions were made by Serin, on the evidence; every one keeps the numbers it was made of.',
  );
  const up = keep ? 'open' : 'npm run demo -- --keep, then open';
  screen.say(`Look further: ${up} ${url}/graphql in a browser and paste`);
  screen.say(`
    { deployments(first: 10) { nodes { id status canaryVersionId stableVersionId
        decisionHistory { decision reasons at } } }
      strategy(id: "${STRATEGY}") { stableVersionId } }
`);
  if (keep) screen.say('Serin stays up until Ctrl-C.');
}

await main();
