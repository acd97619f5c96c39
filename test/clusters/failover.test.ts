/**
 * A failover while people work: three writers with idempotency keys go on through it. Every command that was acknowledged is
 * there once, and a feed and a webhook lack and repeat nothing.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/serin.ts';
import { startReceiver } from '../webhooks/receiver.ts';
import { createWebhook } from '../webhooks/webhook.ts';
import { type Clusters, openClusters } from './cluster.ts';
import { FEED, serinOn, still, wholeLog } from './log.ts';
import { openPair, SYNCHRONOUS } from './pair.ts';
import { startWriter } from './writer.ts';

let clusters: Clusters;
beforeAll(async () => {
  clusters = await openClusters();
});
afterAll(() => clusters.close());

test('three writers go on through a failover: all that was acknowledged is there once, feeds and webhooks have it once', async () => {
  const two = await openPair(clusters, SYNCHRONOUS);
  const nodes = [await serinOn(two.url), await serinOn(two.url)] as const;
  const receiver = await startReceiver();
  await createWebhook(nodes[0], { url: receiver.url });
  const feeds = nodes.map((node) => node.follow(FEED, { after: '0' }));
  const writers = await Promise.all(
    [nodes[0], nodes[1], nodes[0]].map(async (node, index) =>
      startWriter(node, await still(node, `writer-${index}`)),
    ),
  );
  await Promise.all(writers.map(({ more }) => more(10)));
  await two.failOver();
  await Promise.all(writers.map(({ more }) => more(10)));
  await Promise.all(writers.map(({ stop }) => stop()));

  const log = await wholeLog(nodes[0]);
  for (const { deploymentId, acknowledged } of writers) {
    const revisions = log
      .filter((event) => event.deploymentId === deploymentId)
      .map((event) => event.revision);
    // Each command is one event and one revision; those of the beginning are not the writer's.
    expect(revisions.slice(-acknowledged.length)).toEqual(acknowledged);
    expect(revisions).toHaveLength(acknowledged.length + BEGINNING);
  }
  const ids = log.map(({ id }) => id);
  for (const feed of feeds) {
    await feed.take(log.length);
    expect(feed.errors).toEqual([]);
    expect(feed.received.map(({ id }) => id)).toEqual(ids);
  }
  // A message whose receipt was not yet written down is sent again, under the same id.
  const messages = () => new Set(receiver.taken.map(({ headers }) => headers['webhook-id']));
  await until(() => ids.every((id) => messages().has(id)));
  const rewinds = [...messages()].filter((id) => id?.startsWith('history-rewound:'));
  expect(messages().size).toBe(ids.length + rewinds.length);
  for (const { deploymentId } of writers) {
    const of = ids.filter((id) => id.startsWith(`${deploymentId}:`));
    expect([...messages()].filter((id) => id?.startsWith(`${deploymentId}:`))).toEqual(of);
  }
  for (const node of nodes) await node.stop();
  await receiver.close();
  await two.close();
}, 120_000);

/** Events of a deployment before the first command of its writer: created, started, its first step. */
const BEGINNING = 3;
