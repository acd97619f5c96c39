/** A check of `serin/core`'s class with reports of both sides, at logs of three lengths: it must not depend on them. */
import { CanaryDeployment, type Clock } from '../../src/core/index.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import type { Options } from '../registry.ts';

const LENGTHS = [200, 2_000, 10_000];
/** Checks that are timed at each length. */
const TIMED = 200;
const LIMIT_MS = 0.3;
const MINUTE_MS = 60_000;

export async function core({ rounds }: Options): Promise<Row[]> {
  const found = new Map(LENGTHS.map((length) => [length, [] as number[]]));
  // The first life is not measured: its code is compiled meanwhile.
  for (let round = 0; round <= rounds; round += 1) {
    const life = newLife();
    let checks = 0;
    for (const length of LENGTHS) {
      for (; checks < length; checks += 1) await life.check();
      const times: number[] = [];
      for (; times.length < TIMED; checks += 1) times.push(await life.check());
      if (round > 0) found.get(length)?.push(median(times));
    }
  }
  return [...found].map(([length, times]) =>
    judge(
      {
        part: 'core',
        work: `a check of the class after ${length.toLocaleString('en-US')}`,
        against: 'its limit',
        unit: 'ms',
        bound: { atMost: 1 },
      },
      times.map((ours) => ({ ours, theirs: LIMIT_MS })),
    ),
  );
}

interface Life {
  /** Both sides report and the check is made; answers how long the check took, ms. */
  check(): Promise<number>;
}

/** A deployment of which nothing is decided, on a clock of its own. */
function newLife(): Life {
  let now = Date.parse('2026-01-05T09:00:00Z');
  const clock: Clock = { now: () => now, wakeIn: () => () => {} };
  const deployment = new CanaryDeployment(
    {
      strategyId: 'bench',
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      config: { observationPeriodMinutes: 100_000, guardrails: { maxLossPercent: null } },
    },
    { clock, monitor: false },
  );
  deployment.deployCanary(100_000);
  const pnl = { canary: 0, stable: 0 };
  let count = 0;
  return {
    async check() {
      count += 1;
      now += MINUTE_MS;
      const market = Math.sin(count * 12.9898) * 10;
      pnl.canary += market + Math.sin(count * 78.233) * 5;
      pnl.stable += 9 * (market + Math.sin(count * 39.425) * 5);
      deployment.updateStableMetrics({ pnlUsd: pnl.stable.toFixed(2), trades: count });
      deployment.updateCanaryMetrics({ pnlUsd: pnl.canary.toFixed(2), trades: count });
      const began = performance.now();
      await deployment.check();
      return performance.now() - began;
    },
  };
}
