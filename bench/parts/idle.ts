/** What waiting costs: memory of a subscriber to whom nothing happens, and the start with data that is there. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from '../harness/child.ts';
import { growDeployments } from '../harness/grow.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const SUBSCRIBERS = 5000;

export async function idle({ rounds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const clients = await startChild('harness/subscribers.ts');
  try {
    const node = await stage.node();
    const [id = ''] = await seedRunning(node.url, 1);
    await growDeployments(stage.sql, id, 10_000);
    const before = await residentKiB(node.pid);
    const payload = {
      query: 'subscription($id: ID!) { stateChanged(deploymentId: $id) { cursor status at } }',
      variables: { id },
    };
    clients.process.send({
      url: `${node.url.replace('http', 'ws')}/graphql`,
      count: SUBSCRIBERS,
      subscribe: JSON.stringify({ id: '1', type: 'subscribe', payload }),
    });
    await once(clients.process, 'message');
    await sleep(3000);
    const each = ((await residentKiB(node.pid)) - before) / SUBSCRIBERS;
    const starts: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const another = await stage.node();
      starts.push(another.startMs);
      await another.stop();
    }
    return [
      judge(
        {
          part: 'idle',
          work: `memory of an idle subscriber, of ${SUBSCRIBERS.toLocaleString('en-US')}`,
          against: 'what was asked for',
          unit: 'KiB',
          bound: { atMost: 1 },
        },
        [{ ours: each, theirs: 12 }],
      ),
      judge(
        {
          part: 'idle',
          work: 'start to listening, with 10,000 deployments',
          against: 'what was asked for',
          unit: 'ms',
          bound: { atMost: 1 },
        },
        [{ ours: median(starts), theirs: 800 }],
      ),
    ];
  } finally {
    await clients.stop();
    await stage.close();
  }
}

/** The memory of a process as the system counts it (Linux). */
async function residentKiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}
