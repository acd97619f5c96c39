/**
 * A strategy bot in TypeScript: trades, reports what its side has done, and obeys the capital that Serin allocates.
 *
 *     npx tsx examples/bot.ts --deployment dep_first --side CANARY --window 20
 *
 * It trades a day of the S&P 500 every second; `--every` says otherwise. `SERIN_URL` and `SERIN_TOKEN` say where Serin
 * is and who the bot is.
 */
import { argv, env } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-sse';
import { MovingAverageTrader } from './movingAverage.ts';
import { type MarketDay, readPrices } from './prices.ts';

export type Side = 'CANARY' | 'STABLE';

export interface BotOptions {
  /** The GraphQL endpoint. */
  readonly url: string;
  readonly token?: string | undefined;
  readonly deploymentId: string;
  readonly side: Side;
  readonly trader: MovingAverageTrader;
}

interface Envelope<T> {
  readonly data?: T | null;
  readonly errors?: readonly { readonly message: string }[];
}

interface AllocationEvent {
  readonly cursor: string;
  readonly details: {
    readonly number: number;
    readonly cause: string;
    readonly canaryUsd: string;
    readonly stableUsd: string;
  };
}

/** An allocation for one of these causes is the last one: the trial is over. */
const LAST_CAUSES = ['PROMOTE', 'ROLLBACK', 'CANCEL', 'FAIL'];
const RETRY_MS = 500;

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export class Bot {
  readonly options: BotOptions;
  #ended = false;

  constructor(options: BotOptions) {
    this.options = options;
  }

  /** The trial is over and this side has been told its last capital. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Obeys allocations until the trial is over: every one since the deployment began, in order, each once. The cursor
   * of the last one is where the feed is taken up again when the connection breaks.
   */
  async obey(): Promise<void> {
    const { url, deploymentId } = this.options;
    const client = createClient({ url, headers: this.#headers(), retryAttempts: 0 });
    let cursor = '0';
    while (!this.#ended) {
      const query = `subscription ($id: ID!, $after: String!) {
        eventAppended(deploymentId: $id, types: [ALLOCATION_REQUESTED], after: $after) { cursor details } }`;
      try {
        const feed = client.iterate<{ eventAppended: AllocationEvent }>({
          query,
          variables: { id: deploymentId, after: cursor },
        });
        for await (const { data, errors } of feed) {
          if (!data) throw new Error(errors?.[0]?.message);
          await this.#hold(data.eventAppended);
          cursor = data.eventAppended.cursor;
          if (this.#ended) break;
        }
      } catch (error) {
        console.error(`the feed broke and is taken up again: ${messageOf(error)}`);
        await sleep(RETRY_MS);
      }
    }
    client.dispose();
  }

  /** Trades one day of the market and reports where that leaves this side. */
  async trade(day: MarketDay): Promise<void> {
    const { trader, deploymentId, side } = this.options;
    trader.trade(day);
    const mutation = side === 'CANARY' ? 'updateCanaryMetrics' : 'updateStableMetrics';
    try {
      await this.#ask(
        `mutation ($input: UpdateMetricsInput!) { answer: ${mutation}(input: $input) { success message } }`,
        { deploymentId, ...trader.figures() },
      );
    } catch (error) {
      // Figures are running totals: what this report would have said, the next one says too.
      console.error(`a report was lost: ${messageOf(error)}`);
    }
  }

  async #hold({ details }: AllocationEvent): Promise<void> {
    const { deploymentId, side, trader } = this.options;
    const heldUsd = side === 'CANARY' ? details.canaryUsd : details.stableUsd;
    trader.hold(Number(heldUsd));
    await this.#ask(
      'mutation ($input: AcknowledgeAllocationInput!) { answer: acknowledgeAllocation(input: $input) { success message } }',
      { deploymentId, number: details.number, side, heldUsd },
    );
    this.#ended = LAST_CAUSES.includes(details.cause);
  }

  /** One mutation. A refusal is an answer, not an exception: a late report after the end is nothing to worry about. */
  async #ask(query: string, input: Record<string, unknown>): Promise<void> {
    const response = await fetch(this.options.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.#headers() },
      body: JSON.stringify({ query, variables: { input } }),
    });
    const { errors }: Envelope<unknown> = await response.json();
    if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  }

  #headers(): Record<string, string> {
    const { token } = this.options;
    return token ? { authorization: `Bearer ${token}` } : {};
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
  if (!deployment || (side !== 'CANARY' && side !== 'STABLE')) {
    throw new Error(
      'usage: bot.ts --deployment ID --side CANARY|STABLE [--window 50] [--from 2008-12-12] [--every 1]',
    );
  }
  const prices = readPrices();
  const first = prices.findIndex(({ date }) => date >= values.from);
  const version = { id: `ma-${values.window}`, window: Number(values.window) };
  const bot = new Bot({
    url: env.SERIN_URL ?? 'http://127.0.0.1:4000/graphql',
    token: env.SERIN_TOKEN,
    deploymentId: deployment,
    side,
    trader: new MovingAverageTrader(version, prices.slice(0, first)),
  });
  const obeying = bot.obey();
  for (const day of prices.slice(first)) {
    if (bot.ended) break;
    await bot.trade(day);
    await sleep(Number(values.every) * 1000);
  }
  await obeying;
  console.log(`${version.id} traded as ${side}: ${JSON.stringify(bot.options.trader.figures())}`);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main();
