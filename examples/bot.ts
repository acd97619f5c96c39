/**
 * A strategy bot in TypeScript: it trades, reports what its side has done, and holds the capital that Serin allocates.
 *
 *     npx tsx examples/bot.ts --deployment dep_first --side CANARY --window 20
 *
 * It trades one day of the S&P 500 per second; `--every` changes that. `SERIN_URL` is the GraphQL endpoint,
 * `SERIN_TOKEN` the bot's API key or token. It can be started before the deployment is there, and again at any time.
 */
import { argv, env } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type AllocationEvent, type Connection, type Outcome, SerinClient, type Side } from './client.ts';
import { dollars } from './money.ts';
import { MovingAverageTrader } from './movingAverage.ts';
import { type MarketDay, readPrices } from './prices.ts';

export interface BotOptions extends Connection {
  readonly deploymentId: string;
  readonly side: Side;
  readonly trader: MovingAverageTrader;
  /** Gets a sentence for everything that the bot does or that was refused; without it the bot is silent. */
  readonly say?: (sentence: string) => void;
}

/** An allocation for one of these causes is the last one: the deployment has ended. */
const LAST_CAUSES = ['PROMOTE', 'ROLLBACK', 'CANCEL', 'FAIL'];
const RETRY_MS = 500;
const WAIT_MS = 1000;
/** Market days between two lines about the figures, unless a trade was closed. */
const DAYS_PER_LINE = 20;

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

export class Bot {
  readonly options: BotOptions;
  readonly #serin: SerinClient;
  #ended = false;
  #days = 0;
  #lastSaid = '';

  constructor(options: BotOptions) {
    this.options = options;
    this.#serin = new SerinClient(options);
  }

  /** The deployment has ended and this side has acknowledged its last capital. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Waits until the deployment exists and has capital, then goes on from the totals that Serin has of this side. */
  async begin(): Promise<void> {
    const { deploymentId, side, trader } = this.options;
    const deployment = await this.#started();
    const figures = side === 'CANARY' ? deployment.canaryMetrics : deployment.stableMetrics;
    if (!figures) return;
    const { tradeCount: trades, errorCount: errors, metrics } = figures;
    const netPnlUsd = Number(metrics.netPnlUsd);
    trader.goOnFrom({
      netPnlUsd,
      totalPnlUsd: Number(metrics.totalPnlUsd),
      trades,
      errors,
      maxDrawdown: Number(metrics.maxDrawdown),
      winRate: metrics.winRate === null ? null : Number(metrics.winRate),
      avgTradeSizeUsd: Number(metrics.avgTradeSizeUsd),
    });
    this.#say(
      `${deploymentId} is ${deployment.status}; the ${side} side goes on from ${trades} trades, net PnL ${dollars(netPnlUsd)}.`,
    );
  }

  /**
   * Holds every allocation since the deployment began, in order, each once, until the last one. After a broken
   * connection the feed continues after the cursor of the last allocation.
   */
  async obey(): Promise<void> {
    let cursor = '0';
    while (!this.#ended) {
      try {
        for await (const event of this.#serin.allocations(this.options.deploymentId, cursor)) {
          await this.#hold(event);
          cursor = event.cursor;
          if (this.#ended) break;
        }
      } catch (error) {
        this.#say(`The feed of allocations broke and is opened again: ${messageOf(error)}`);
        await sleep(RETRY_MS);
      }
    }
  }

  /** Trades one day of the market and reports the totals of this side. */
  async trade(day: MarketDay): Promise<void> {
    const { trader, deploymentId, side } = this.options;
    const before = trader.figures().trades;
    trader.trade(day);
    const figures = trader.figures();
    this.#days += 1;
    if (figures.trades > before || this.#days % DAYS_PER_LINE === 0) {
      this.#say(`${day.date}: ${figures.trades} trades, net PnL ${dollars(Number(figures.pnlUsd))}.`);
    }
    try {
      const outcome = await this.#serin.report(side, { deploymentId, ...figures });
      this.#sayIfRefused('Report', outcome);
    } catch (error) {
      this.#say(`A report was lost; the next one has the same totals and more: ${messageOf(error)}`);
    }
  }

  async #started() {
    const { deploymentId } = this.options;
    for (;;) {
      try {
        const deployment = await this.#serin.deployment(deploymentId);
        if (deployment && deployment.status !== 'PENDING') return deployment;
        this.#say(
          deployment
            ? `Deployment ${deploymentId} has no capital yet; waiting for deployCanary.`
            : `There is no deployment ${deploymentId} yet; waiting for createDeployment.`,
        );
      } catch (error) {
        this.#say(`Serin cannot be reached at ${this.options.url}; trying again: ${messageOf(error)}`);
      }
      await sleep(WAIT_MS);
    }
  }

  async #hold({ details }: AllocationEvent): Promise<void> {
    const { deploymentId, side, trader } = this.options;
    const { number, cause } = details;
    const heldUsd = side === 'CANARY' ? details.canaryUsd : details.stableUsd;
    trader.hold(Number(heldUsd));
    const outcome = await this.#serin.acknowledge({ deploymentId, number, side, heldUsd });
    this.#say(`Allocation ${number} (${cause}): the ${side} side holds ${dollars(Number(heldUsd))}.`);
    this.#sayIfRefused('Acknowledgement', outcome);
    this.#ended = LAST_CAUSES.includes(cause);
  }

  #sayIfRefused(what: string, { success, message, error }: Outcome): void {
    if (!success) this.#say(`${what} refused, ${error?.code}: ${message}`);
  }

  /** The same sentence is said once, however often its cause comes again. */
  #say(sentence: string): void {
    if (sentence === this.#lastSaid) return;
    this.#lastSaid = sentence;
    this.options.say?.(sentence);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      deployment: { type: 'string' },
      side: { type: 'string' },
      window: { type: 'string', default: '50' },
      from: { type: 'string', default: '2008-12-12' },
      every: { type: 'string', default: '1' },
    },
  });
  const { deployment, side } = values;
  const prices = readPrices();
  const first = prices.findIndex(({ date }) => date >= values.from);
  const numbers = [Number(values.window), Number(values.every)];
  if (
    !deployment ||
    (side !== 'CANARY' && side !== 'STABLE') ||
    first < 1 ||
    numbers.some((value) => !(value > 0))
  ) {
    console.error(
      'usage: bot.ts --deployment ID --side CANARY|STABLE [--window 50] [--from 2008-12-12] [--every 1]',
    );
    process.exitCode = 2;
    return;
  }
  const version = { id: `ma-${values.window}`, window: Number(values.window) };
  const trader = new MovingAverageTrader(version, prices.slice(0, first));
  const bot = new Bot({
    url: env.SERIN_URL ?? 'http://127.0.0.1:4000/graphql',
    token: env.SERIN_TOKEN,
    deploymentId: deployment,
    side,
    trader,
    say: (sentence) => console.log(`${version.id} ${side}: ${sentence}`),
  });
  await bot.begin();
  const obeying = bot.obey();
  for (const day of prices.slice(first)) {
    if (bot.ended) break;
    await bot.trade(day);
    await sleep(Number(values.every) * 1000);
  }
  if (!bot.ended)
    console.log('There are no more prices; the bot holds its capital until the deployment ends.');
  await obeying;
  const { trades, pnlUsd } = trader.figures();
  console.log(
    `${deployment} has ended. ${version.id} made ${trades} trades as ${side}, net PnL ${dollars(Number(pnlUsd))}.`,
  );
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main();
