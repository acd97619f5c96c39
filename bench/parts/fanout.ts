/** One event to thousands of WebSocket subscribers of one document. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild } from '../harness/child.ts';
import { judge, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Connect } from '../harness/subscribers.ts';
import type { Options } from '../registry.ts';

/** Events in a row, so that what one costs besides its delivery does not hide the delivery. */
const EVENTS = 6;
/** Changes that nobody follows before anything is measured: a node that just began takes several times as long for one. */
const WARM_UP = 500;

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
  const audiences: Audience[] = [];
  const gather = async (url: string, id: string | null, trigger: () => Promise<void>) => {
    const audience = await gatherAudience(followers(url, id, subscribers), trigger);
    audiences.push(audience);
    return audience;
  };
  try {
    const { url } = await stage.node();
    // Two deployments, so that the peer has nothing to do while we are measured, and we while it is; and one to warm up.
    const [own = '', peers = '', nobodys = ''] = await seedRunning(url, 3);
    const change = changesOf(url, nobodys);
    for (let event = 0; event < WARM_UP; event += 1) await change();
    const ours = await gather(url, own, changesOf(url, own));
    const bare = await gather(raw.ready, null, async () => {
      await (await fetch(raw.ready, { method: 'POST', body: '{}' })).text();
    });
    const peer = await gather(each.ready, peers, changesOf(url, peers));
    const measured: { ours: number; bare: number; peer: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      measured.push({ ours: await ours.rate(), bare: await bare.rate(), peer: await peer.rate() });
    }
    const work = `one event to ${subscribers.toLocaleString('en-US')} WebSocket subscribers`;
    const subject = { part: 'fanout', work, unit: 'deliveries/s' };
    const against = (theirs: 'bare' | 'peer') =>
      measured.map((round) => ({ ours: round.ours, theirs: round[theirs] }));
    return [
      judge(
        { ...subject, against: 'raw ws broadcast of as many bytes', bound: { atLeast: 0.85 } },
        against('bare'),
      ),
      judge(
        { ...subject, against: 'graphql-ws executing for each subscriber', bound: { atLeast: 5 } },
        against('peer'),
      ),
    ];
  } finally {
    for (const audience of audiences) await audience.leave();
    await each.stop();
    await raw.stop();
    await stage.close();
  }
}

/** Subscribers of a deployment, or sockets that only listen. */
function followers(url: string, id: string | null, count: number): Connect {
  const address = url.replace('http', 'ws');
  if (id === null) return { url: address, count, subscribe: null };
  const payload = { query: QUERY, variables: { id } };
  return {
    url: `${address}/graphql`,
    count,
    subscribe: JSON.stringify({ id: '1', type: 'subscribe', payload }),
  };
}

/** Pauses and resumes a deployment in turn. */
function changesOf(url: string, id: string): () => Promise<void> {
  let paused = false;
  return async () => {
    const name = paused ? 'resume' : 'pause';
    paused = !paused;
    const query = `mutation($id: ID!) { ${name}Deployment(input: { deploymentId: $id }) { success } }`;
    await ask(url, query, { id });
  };
}

interface Audience {
  /** Deliveries a second, from the first trigger to the last delivery. */
  rate(): Promise<number>;
  leave(): Promise<void>;
}

/** Subscriptions are not acknowledged: the audience is there when an event has reached all of it. */
async function gatherAudience(connect: Connect, trigger: () => Promise<void>): Promise<Audience> {
  const clients = await startChild('harness/subscribers.ts');
  await answerOf(clients, connect);
  await sleep(3000);
  let expected = connect.count;
  const first = answerOf(clients, { deliveries: expected });
  await trigger();
  const late = sleep(60_000, 'late', { ref: false });
  if ((await Promise.race([first, late])) === 'late') {
    await clients.stop();
    throw new Error(`an event did not reach all ${connect.count}`);
  }
  return {
    async rate() {
      const deliveries = connect.count * EVENTS;
      expected += deliveries;
      const began = performance.timeOrigin + performance.now();
      const all = answerOf(clients, { deliveries: expected });
      for (let event = 0; event < EVENTS; event += 1) await trigger();
      return deliveries / (((await all) - began) / 1000);
    },
    leave: () => clients.stop(),
  };
}

async function answerOf(clients: Child, order: object): Promise<number> {
  clients.process.send(order);
  const [answer] = await once(clients.process, 'message');
  const { at, error }: { at?: number; error?: string } = answer;
  if (at === undefined) throw new Error(`the subscribers failed: ${error}`);
  return at;
}
