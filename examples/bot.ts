/**
 * A strategy bot in TypeScript: it trades, reports what its side has done, and holds the capital that Serin allocates.
 *
 *     npx tsx examples/bot.ts --deployment dep_first --side CANARY --window 20
 *
 * It trades one day of the S&P 500 per second; `--every` changes that. `SERIN_URL` is where Serin is, `SERIN_KEY` (or
 * `SERIN_TOKEN`) the bot's API key or token. It can be started before the deployment is there, and again at any time.
 * In a project of your own the client is imported from `serin/client`.
 */
import { argv, env } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { connectSerin, type DeploymentSide, type ReportResult, type Side } from '../src/client/index.ts';
import { dollars } from './money.ts';
import { MovingAverageTrader } from './movingAverage.ts';
import { type MarketDay, readPrices } from './prices.ts';

export interface BotOptions {
  readonly url: string;
  readonly key?: string | undefined;
  readonly deploymentId: string;
  readonly side: Side;
  readonly trader: MovingAverageTrader;
  /** Gets a sentence for everything that the bot does or that was refused; without it the bot is silent. */
  readonly say?: (sentence: string) => void;
}

/** Market days between two lines about the figures, unless a trade was closed. */
const DAYS_PER_LINE = 20;

export class Bot {
  readonly #side: DeploymentSide;
  readonly #trader: MovingAverageTrader;
  readonly #say: (sentence: string) => void;
  #days = 0;

  private constructor(side: DeploymentSide, trader: MovingAverageTrader, say: (sentence: string) => void) {
    this.#side = side;
    this.#trader = trader;
    this.#say = say;
  }

  /** Waits until the deployment exists. The client adds this run's totals to those that the side had before. */
  static async open({ url, key, deploymentId, side, trader, say }: BotOptions): Promise<Bot> {
    const saying = once(say ?? (() => {}));
    const opened = await connectSerin({ url, key, onNotice: saying }).side(deploymentId, side);
    const { before } = opened;
    if (before) {
      const netPnl = dollars(Number(before.metrics.netPnlUsd));
      saying(`The ${side} side goes on from ${before.tradeCount} trades, net PnL ${netPnl}.`);
    }
    return new Bot(opened, trader, saying);
  }

  /** The deployment has ended; `obey` holds the last capital and then returns. */
  get ended(): boolean {
    return this.#side.ended;
  }

  /** Holds the newest allocation and acknowledges it, until the last one. */
  async obey(): Promise<void> {
    for await (const { number, cause, capitalUsd, acknowledge } of this.#side.allocations()) {
      this.#trader.hold(Number(capitalUsd));
      this.#sayIfRefused('Acknowledgement', await acknowledge());
      this.#say(
        `Allocation ${number} (${cause}): the ${this.#side.side} side holds ${dollars(Number(capitalUsd))}.`,
      );
    }
    await this.#side.close();
  }

  /** Trades one day of the market and reports the totals of this run; nothing after the end. */
  async trade(day: MarketDay): Promise<void> {
    if (this.ended) return;
    const before = this.#trader.figures().trades;
    this.#trader.trade(day);
    const figures = this.#trader.figures();
    this.#days += 1;
    if (figures.trades > before || this.#days % DAYS_PER_LINE === 0) {
      this.#say(`${day.date}: ${figures.trades} trades, net PnL ${dollars(Number(figures.pnlUsd))}.`);
    }
    this.#sayIfRefused('Report', await this.#side.report(figures));
  }

  #sayIfRefused(
    what: string,
    { success, message, error }: Pick<ReportResult, 'success' | 'message' | 'error'>,
  ): void {
    if (!success && !this.ended) this.#say(`${what} refused, ${error?.code}: ${message}`);
  }
}

/** The same sentence is said once, however often its cause comes again. */
function once(say: (sentence: string) => void): (sentence: string) => void {
  let last = '';
  return (sentence) => {
    if (sentence !== last) say(sentence);
    last = sentence;
  };
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
  const bot = await Bot.open({
    url: env.SERIN_URL ?? 'http://127.0.0.1:4000',
    key: env.SERIN_KEY ?? env.SERIN_TOKEN,
    deploymentId: deployment,
    side,
    trader,
    say: (sentence) => console.log(`${version.id} ${side}: ${sentence}`),
  });
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
