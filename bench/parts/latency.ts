/** From a mutation on one node to a subscriber on another, held against a NOTIFY through the driver. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { startChild } from '../harness/child.ts';
import { judge, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage, type Stage } from '../harness/stage.ts';
import type { Options } from '../parts.ts';

const EVENTS = 200;

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export async function latency({ seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  try {
    const [writer, reader] = [await stage.node(), await stage.node()];
    const [id = '', ...others] = await seedRunning(writer.url, 65);
    const idleNotify = await notifyTimes(stage);
    const idle = await deliveryTimes(writer.url, reader.url, id);
    const bodies = others.map((other) => [
      JSON.stringify({ query: `{ deployment(id: "${other}") { id status comparison { decision } } }` }),
    ]);
    const busy = putLoad(load, {
      url: `${reader.url}/graphql`,
      connections: 8,
      seconds: Math.max(20, seconds * 5),
      bodies,
    });
    const loadedNotify = await notifyTimes(stage);
    const loaded = await deliveryTimes(writer.url, reader.url, id);
    await busy;
    const row = (work: string, ours: number, theirs: number, atMost: number) =>
      judge(
        {
          part: 'latency',
          work: `mutation to a subscriber on another node, ${work}`,
          against: 'NOTIFY round trip through the driver',
          unit: 'ms',
          bound: { atMost },
        },
        [{ ours, theirs }],
      );
    return [
      row('idle, p50', idle.p50, idleNotify.p50, 3),
      row('idle, p99', idle.p99, idleNotify.p99, Number.POSITIVE_INFINITY),
      row('under load, p50', loaded.p50, loadedNotify.p50, 3),
      row('under load, p99', loaded.p99, loadedNotify.p99, Number.POSITIVE_INFINITY),
    ];
  } finally {
    await load.stop();
    await stage.close();
  }
}

function quantilesOf(times: number[]): Quantiles {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** From sending the mutation to having the delivery, so its commit is in it. */
async function deliveryTimes(writer: string, reader: string, id: string): Promise<Quantiles> {
  const client = createClient({
    url: `${reader.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
  });
  let heard: () => void = () => {};
  const end = client.subscribe(
    { query: 'subscription($id: ID!) { stateChanged(deploymentId: $id) { status } }', variables: { id } },
    { next: () => heard(), error: () => {}, complete: () => {} },
  );
  await sleep(1000);
  const times: number[] = [];
  for (let event = 0; event < EVENTS; event += 1) {
    const delivered = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const name = event % 2 === 0 ? 'pause' : 'resume';
    const began = performance.now();
    await ask(writer, `mutation($id: ID!) { ${name}Deployment(input: { deploymentId: $id }) { success } }`, {
      id,
    });
    await delivered;
    times.push(performance.now() - began);
  }
  end();
  await client.dispose();
  return quantilesOf(times);
}

async function notifyTimes({ sql }: Stage): Promise<Quantiles> {
  let heard: () => void = () => {};
  const { unlisten } = await sql.listen('bench', () => heard());
  const times: number[] = [];
  for (let round = 0; round < EVENTS; round += 1) {
    const delivered = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const began = performance.now();
    await sql.notify('bench', '');
    await delivered;
    times.push(performance.now() - began);
  }
  await unlisten();
  return quantilesOf(times);
}
