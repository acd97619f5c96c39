/** One event to thousands of WebSocket subscribers of one document. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild } from '../harness/child.ts';
import { judge, type Round, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Connect } from '../harness/subscribers.ts';
import type { Options } from '../parts.ts';

/** Events in a row, so that what one costs beside its delivery does not hide the delivery. */
const EVENTS = 6;

const QUERY = `subscription($id: ID!) { stateChanged(deploymentId: $id) {
  cursor previousStatus status at actor reason deploymentId
  deployment { id strategyId status revision canaryCapitalUsd stableCapitalUsd observationRemainingSeconds } } }`;

/** About what a subscriber of ours is sent, byte for byte as long. */
const MESSAGE = JSON.stringify({
  id: '1',
  type: 'next',
  payload: { data: { stateChanged: 'x'.repeat(400) } },
});

export async function fanout({ rounds }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subscribers of [2000, 5000]) rows.push(...(await fanoutTo(subscribers, rounds)));
  return rows;
}

async function fanoutTo(subscribers: number, rounds: number): Promise<Row[]> {
  const stage = await openStage();
  const raw = await startChild('peers/rawBroadcast.ts', MESSAGE);
  const each = await startChild('peers/graphqlWs.ts', stage.databaseUrl);
  try {
    const { url } = await stage.node();
    const [id = ''] = await seedRunning(url, 1);
    const subscribe = JSON.stringify({
      id: '1',
      type: 'subscribe',
      payload: { query: QUERY, variables: { id } },
    });
    let paused = false;
    const change = async () => {
      const name = paused ? 'resume' : 'pause';
      paused = !paused;
      await ask(url, `mutation($id: ID!) { ${name}Deployment(input: { deploymentId: $id }) { success } }`, {
        id,
      });
    };
    const broadcast = async () => {
      await (await fetch(raw.ready, { method: 'POST', body: '{}' })).text();
    };
    const followers = (address: string, hello: string | null): Connect => ({
      url: address.replace('http', 'ws') + (hello === null ? '' : '/graphql'),
      count: subscribers,
      subscribe: hello,
    });
    const ours = await measure(followers(url, subscribe), change, rounds);
    const bare = await measure(followers(raw.ready, null), broadcast, rounds);
    const peers = await measure(followers(each.ready, subscribe), change, rounds);
    const pairs = (theirs: readonly number[]): Round[] =>
      ours.map((rate, round) => ({ ours: rate, theirs: theirs[round] ?? Number.NaN }));
    const work = `one event to ${subscribers.toLocaleString('en-US')} WebSocket subscribers`;
    const subject = { part: 'fanout', work, unit: 'deliveries/s' };
    return [
      judge(
        { ...subject, against: 'raw ws broadcast of as many bytes', bound: { atLeast: 0.6 } },
        pairs(bare),
      ),
      judge(
        { ...subject, against: 'graphql-ws executing for each subscriber', bound: { atLeast: 5 } },
        pairs(peers),
      ),
    ];
  } finally {
    await each.stop();
    await raw.stop();
    await stage.close();
  }
}

/** Deliveries a second, from the first trigger to the last delivery, round by round. */
async function measure(connect: Connect, trigger: () => Promise<void>, rounds: number): Promise<number[]> {
  const clients = await startChild('harness/subscribers.ts');
  try {
    await answerOf(clients, connect);
    await begun(clients, connect.count, trigger);
    const rates: number[] = [];
    let expected = connect.count;
    for (let round = 0; round < rounds; round += 1) {
      expected += connect.count * EVENTS;
      const began = performance.timeOrigin + performance.now();
      const all = answerOf(clients, { deliveries: expected });
      for (let event = 0; event < EVENTS; event += 1) await trigger();
      rates.push((connect.count * EVENTS) / (((await all) - began) / 1000));
    }
    return rates;
  } finally {
    await clients.stop();
  }
}

/** Subscriptions are not acknowledged: all have begun when an event has reached all. */
async function begun(clients: Child, count: number, trigger: () => Promise<void>): Promise<void> {
  await sleep(3000);
  const all = answerOf(clients, { deliveries: count });
  await trigger();
  const late = sleep(60_000, 'late', { ref: false });
  if ((await Promise.race([all, late])) === 'late') throw new Error(`an event did not reach all ${count}`);
}

async function answerOf(clients: Child, order: object): Promise<number> {
  clients.process.send(order);
  const [answer] = await once(clients.process, 'message');
  const { at, error }: { at?: number; error?: string } = answer;
  if (at === undefined) throw new Error(`the subscribers failed: ${error}`);
  return at;
}
