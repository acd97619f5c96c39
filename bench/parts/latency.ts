/** From a mutation on one node to a subscriber on another, held against a NOTIFY through the driver. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { startChild } from '../harness/child.ts';
import { judge, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, type Node, openStage, type Stage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const EVENTS = 500;
/** Before anything is measured: a node that just began takes several times as long for a mutation. */
const WARM_UP = 2000;
/** Of one deployment so many changes a minute would be refused. */
const DEPLOYMENTS = 64;

const change = (field: string) =>
  `mutation($id: ID!) { ${field}(input: { deploymentId: $id }) { success message } }`;
const CHANGES = { pause: change('pauseDeployment'), resume: change('resumeDeployment') } as const;

/** What is shown, and not judged. */
const ANY = Number.POSITIVE_INFINITY;

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export async function latency({ seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  try {
    const [writer, reader, other] = [await stage.node(), await stage.node(), await stage.node()];
    const ids = await seedRunning(writer.url, DEPLOYMENTS);
    await deliveryTimes(writer.url, reader.url, ids, WARM_UP);
    const durable = await durableNotifyTimes(stage);
    const idleNotify = await notifyTimes(stage);
    const idle = await deliveryTimes(writer.url, reader.url, ids);
    const bodies = ids.map((id) => [
      JSON.stringify({ query: `{ deployment(id: "${id}") { id status comparison { decision } } }` }),
    ]);
    const whileBusy = async ({ url }: Node) => {
      const order = { url: `${url}/graphql`, connections: 8, seconds: Math.max(20, seconds * 5), bodies };
      const busy = putLoad(load, order);
      const notified = await notifyTimes(stage);
      const delivered = await deliveryTimes(writer.url, reader.url, ids);
      await busy;
      return { notified, delivered };
    };
    const loaded = await whileBusy(reader);
    const apart = await whileBusy(other);
    const row = (work: string, against: string, ours: number, theirs: number, atMost: number) => {
      const subject = { part: 'latency', work: `mutation to a subscriber on another node, ${work}` };
      return judge({ ...subject, against, unit: 'ms', bound: { atMost } }, [{ ours, theirs }]);
    };
    const notify = 'NOTIFY round trip through the driver';
    return [
      row('idle, p50', notify, idle.sent.p50, idleNotify.p50, ANY),
      row('idle, p50', 'the same NOTIFY in a transaction that writes a row', idle.sent.p50, durable.p50, 2),
      row('idle, p99', notify, idle.sent.p99, idleNotify.p99, ANY),
      row('from its answer on, idle, p50', notify, idle.answered.p50, idleNotify.p50, 3),
      row('from its answer on, idle, p99', notify, idle.answered.p99, idleNotify.p99, ANY),
      row('under load, p50', notify, loaded.delivered.sent.p50, loaded.notified.p50, ANY),
      row('under load, p99', notify, loaded.delivered.sent.p99, loaded.notified.p99, ANY),
      row(
        'from its answer on, under load, p50',
        notify,
        loaded.delivered.answered.p50,
        loaded.notified.p50,
        3,
      ),
      row(
        'from its answer on, under load, p99',
        notify,
        loaded.delivered.answered.p99,
        loaded.notified.p99,
        ANY,
      ),
      row(
        'from its answer on, another node under load, p50',
        notify,
        apart.delivered.answered.p50,
        apart.notified.p50,
        3,
      ),
      row(
        'from its answer on, another node under load, p99',
        notify,
        apart.delivered.answered.p99,
        apart.notified.p99,
        ANY,
      ),
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

/**
 * Pauses and resumes one deployment after the other. From sending a mutation, so its commit is in it, and from having its
 * answer, to having the delivery.
 */
async function deliveryTimes(
  writer: string,
  reader: string,
  ids: readonly string[],
  events: number = EVENTS,
): Promise<{ readonly sent: Quantiles; readonly answered: Quantiles }> {
  const client = createClient({
    url: `${reader.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
  });
  let heard: () => void = () => {};
  const end = client.subscribe(
    { query: 'subscription { stateChanged { status } }' },
    { next: () => heard(), error: () => {}, complete: () => {} },
  );
  await sleep(1000);
  const [sent, answered]: [number[], number[]] = [[], []];
  for (let event = 0; event < events; event += 1) {
    let deliveredAt = 0;
    const delivered = new Promise<void>((resolve) => {
      heard = () => {
        deliveredAt = performance.now();
        resolve();
      };
    });
    const name = event % 2 === 0 ? 'pause' : 'resume';
    const id = ids[Math.floor(event / 2) % ids.length];
    const began = performance.now();
    const answer = await ask<Record<string, { success: boolean; message: string }>>(writer, CHANGES[name], {
      id,
    });
    const answeredAt = performance.now();
    for (const { success, message } of Object.values(answer)) if (!success) throw new Error(message);
    await delivered;
    sent.push(deliveredAt - began);
    answered.push(deliveredAt - answeredAt);
  }
  end();
  await client.dispose();
  return { sent: quantilesOf(sent), answered: quantilesOf(answered) };
}

const notifyTimes = ({ sql }: Stage) => timesUntilHeard(sql, () => sql.notify('bench', ''));

/** The least that a change and the word of it take: a row written, the NOTIFY with it, and a durable commit. */
async function durableNotifyTimes({ sql }: Stage): Promise<Quantiles> {
  await sql`create table bench_changes (no integer)`;
  return timesUntilHeard(sql, () =>
    sql.begin(async (tx) => {
      await tx`insert into bench_changes values (1)`;
      await tx.notify('bench', '');
    }),
  );
}

async function timesUntilHeard(sql: Stage['sql'], notify: () => Promise<unknown>): Promise<Quantiles> {
  let heard: () => void = () => {};
  const { unlisten } = await sql.listen('bench', () => heard());
  const times: number[] = [];
  for (let round = 0; round < EVENTS; round += 1) {
    const delivered = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const began = performance.now();
    await notify();
    await delivered;
    times.push(performance.now() - began);
  }
  await unlisten();
  return quantilesOf(times);
}
