/** Recording trades: a batch on a long history against the same on a short one, in the order of time and a little late. */
import { alternate, judge, type Row } from '../harness/measure.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const BATCH = 100;
/** Batches of one figure. */
const BATCHES = 20;
const LONG = { history: 50_000, fullHistory: 500_000 };
/** Trades a millisecond, so that a long history fits into the minutes since its deployment started. */
const PER_MS = 20;

const START = `mutation($create: CreateDeploymentInput!, $deploy: DeployCanaryInput!) {
  createDeployment(input: $create) { success }
  deployCanary(input: $deploy) { deployment { startedAt } }
}`;

/** A bot that has made a number of trades. */
class Bot {
  private made = 0;

  private constructor(
    private readonly url: string,
    private readonly deploymentId: string,
    private readonly start: number,
  ) {}

  /** A bot with a deployment of its own, on which nothing happens automatically while we measure. */
  static async start(url: string, id: string): Promise<Bot> {
    const { deployCanary } = await ask<{ deployCanary: { deployment: { startedAt: string } } }>(url, START, {
      create: {
        id,
        strategyId: `strategy-of-${id}`,
        stableVersionId: 'v1',
        canaryVersionId: 'v2',
        config: {
          observationPeriodMinutes: 10_000,
          checkIntervalSeconds: 86_400,
          guardrails: { maxStaleSeconds: null },
        },
      },
      deploy: { deploymentId: id, capitalUsd: '1000000' },
    });
    return new Bot(url, id, Date.parse(deployCanary.deployment.startedAt));
  }

  /** Records the next trades; `late` ones were closed that many trades earlier. */
  async record(count: number, late = 0): Promise<void> {
    const trades = Array.from({ length: count }, (_, index) => {
      const no = this.made + index;
      const at = new Date(this.start + Math.max(0, Math.floor((no - late) / PER_MS))).toISOString();
      return { id: `t${no}`, at, pnlUsd: no % 2 === 0 ? '0.013' : '-0.012', feesUsd: '0.001' };
    });
    this.made += count;
    const { recordTrades } = await ask<{ recordTrades: { taken: number; message: string } }>(
      this.url,
      'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { taken message } }',
      { input: { deploymentId: this.deploymentId, side: 'CANARY', trades } },
    );
    if (recordTrades.taken !== count) throw new Error(recordTrades.message);
  }

  /** Trades recorded a second, in batches one after the other. */
  async pace(late = 0): Promise<number> {
    const began = performance.now();
    for (let batch = 0; batch < BATCHES; batch += 1) await this.record(BATCH, late);
    return (BATCH * BATCHES * 1000) / (performance.now() - began);
  }
}

export async function trades({ rounds, full }: Options): Promise<Row[]> {
  const stage = await openStage();
  try {
    const { url } = await stage.node();
    const [long, short] = [await Bot.start(url, 'long'), await Bot.start(url, 'short')];
    const history = full ? LONG.fullHistory : LONG.history;
    for (let made = 0; made < history; made += 1000) await long.record(1000);
    await short.pace();
    const subject = { part: 'trades', unit: 'trades/s', against: 'the same on a new deployment' };
    const work = `batches of ${BATCH} trades on a history of ${history.toLocaleString('en-US')}`;
    const inOrder = await alternate(
      rounds,
      () => long.pace(),
      () => short.pace(),
    );
    const late = await alternate(
      rounds,
      () => long.pace(200),
      () => long.pace(),
    );
    return [
      judge({ ...subject, work, bound: { atLeast: 0.8 } }, inOrder),
      judge(
        {
          ...subject,
          work: `${work}, 200 trades late`,
          against: 'the same in order',
          bound: { atLeast: 0.1 },
        },
        late,
      ),
    ];
  } finally {
    await stage.close();
  }
}
