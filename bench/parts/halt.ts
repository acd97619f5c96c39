/**
 * A halt of a thousand deployments with a freeze, from the request to the outcome of each; and the same when its node is
 * killed in the middle and the request is repeated, with its key, on another node.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { judge, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const DEPLOYMENTS = 1000;
const LIMIT_MS = 10_000;

const HALT = `mutation($input: HaltCanariesInput!) { haltCanaries(input: $input) { success complete pending message
  outcomes { deploymentId outcome } freeze { id } } }`;

interface Halted {
  readonly success: boolean;
  readonly complete: boolean;
  readonly message: string;
  readonly outcomes: readonly { readonly outcome: string }[];
}

export async function halt({ rounds }: Options): Promise<Row[]> {
  const stage = await openStage();
  try {
    const inputOf = (group: string) => ({
      strategies: [`strategy-of-${group}-*`],
      action: 'ROLLBACK',
      freeze: true,
      reason: 'benchmark',
      idempotencyKey: group,
    });
    const whole: number[] = [];
    const repeated: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { url } = await stage.node();
      await seedRunning(url, DEPLOYMENTS, `whole${round}`);
      whole.push(await haltAll(url, inputOf(`whole${round}`)));

      const doomed = await stage.node();
      const group = `killed${round}`;
      await seedRunning(url, DEPLOYMENTS, group);
      const lost = haltAll(doomed.url, inputOf(group)).catch(() => null);
      const done = async () => {
        const [row] = await stage.sql<{ count: number }[]>`
          select count(*)::int as count from deployments where id like ${`${group}-%`} and ended_at is not null`;
        return row?.count ?? 0;
      };
      while ((await done()) < DEPLOYMENTS / 10) await sleep(5);
      process.kill(doomed.pid, 'SIGKILL');
      if ((await lost) !== null) throw new Error('the halt was over before its node was killed');
      repeated.push(await haltAll(url, inputOf(group)));
    }
    const row = (work: string, took: readonly number[]) =>
      judge(
        { part: 'halt', work, against: 'its limit', unit: 'ms', bound: { atMost: 1 } },
        took.map((ours) => ({ ours, theirs: LIMIT_MS })),
      );
    const work = `a halt of ${DEPLOYMENTS.toLocaleString('en-US')} deployments, to the outcome of each`;
    return [
      row(work, whole),
      row(`${work}, repeated on another node after its own was killed in the middle`, repeated),
    ];
  } finally {
    await stage.close();
  }
}

/** Milliseconds until every deployment has its outcome: what an answer leaves pending, the same request answers later. */
async function haltAll(url: string, input: Record<string, unknown>): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { haltCanaries } = await ask<{ haltCanaries: Halted }>(url, HALT, { input });
    const took = performance.now() - began;
    const { complete, outcomes, message } = haltCanaries;
    if (!complete) continue;
    const done = outcomes.filter(({ outcome }) => outcome === 'DONE').length;
    if (done !== DEPLOYMENTS) throw new Error(`not all were rolled back: ${message}`);
    return took;
  }
}
