/**
 * The log outlives the cluster that it was written in: restored, promoted, copied or recovered to an earlier time, it
 * loses and repeats nothing, and who has seen what no longer happened is told so.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProxy } from '../faults/proxy.ts';
import { command } from '../harness/deployment.ts';
import { until } from '../harness/serin.ts';
import { startReceiver } from '../webhooks/receiver.ts';
import { createWebhook, deliveriesOf } from '../webhooks/webhook.ts';
import { type Cluster, type Clusters, debianPrograms, openClusters, program } from './cluster.ts';
import { change, eventsAfter, eventually, FEED, refusedAt, serinOn, still } from './log.ts';
import { openPair, SYNCHRONOUS } from './pair.ts';

let clusters: Clusters;
beforeAll(async () => {
  clusters = await openClusters();
});
afterAll(() => clusters.close());

const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id);

describe('a folder that was copied and taken back', () => {
  test('refuses cursors from after the copy, continues from those before, and notifies webhooks', async () => {
    const original = await clusters.create();
    const before = await serinOn(original.url);
    const receiver = await startReceiver();
    await createWebhook(before, { url: receiver.url });
    const id = await still(before, 'copied');
    await change(before, id, 2);
    const kept = await eventsAfter(before, '0');
    await before.stop();
    await original.stop();
    const copy = await original.copyFolder();
    await original.start();
    const lost = await serinOn(original.url);
    await change(lost, id, 2);
    const beyond = (await eventsAfter(lost, '0')).at(-1);
    await lost.stop();
    await original.stop();

    await copy.start();
    const serin = await serinOn(copy.url);
    const last = kept.at(-1)?.cursor ?? '';
    expect(await eventsAfter(serin, kept[1]?.cursor ?? '')).toEqual(kept.slice(2));
    const refused = await refusedAt(serin, beyond?.cursor ?? '');
    expect(refused.extensions).toMatchObject({ code: 'HISTORY_REWOUND', lastCursor: last });
    expect(refused.message).toContain(last);
    const feed = serin.follow(FEED, { after: beyond?.cursor });
    await until(() => feed.errors.length > 0);
    expect(feed.errors.flat()[0]).toMatchObject({
      extensions: { code: 'HISTORY_REWOUND', lastCursor: last },
    });
    const webhook = await serin.ask(
      'mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success error { code path } } }',
      { input: { url: receiver.url, after: beyond?.cursor } },
    );
    expect(webhook.createWebhook).toEqual({
      success: false,
      error: { code: 'HISTORY_REWOUND', path: ['after'] },
    });
    await until(() => receiver.taken.some(({ body }) => body.type === 'HISTORY_REWOUND'));
    const messages = receiver.taken.filter(({ body }) => body.type === 'HISTORY_REWOUND');
    expect(messages).toHaveLength(1);
    expect(messages[0]?.body.data).toMatchObject({ epoch: 1, lastCursor: last, lastMessageId: `${id}:5` });
    expect(messages[0]?.headers['webhook-id']).toMatch(/^history-rewound:1\.[0-9a-f]{16}$/);
    await change(serin, id, 1);
    const [next] = await eventsAfter(serin, last);
    expect(next).toMatchObject({ deploymentId: id, no: 6 });
    expect(next?.cursor).not.toBe(beyond?.cursor);
    await until(() =>
      receiver.taken.some(({ body }) => body.data.no === 6 && body.data.cursor === next?.cursor),
    );
    // After another start of the server a reader of what is lost is still told where the two histories part.
    await serin.stop();
    await copy.stop();
    await copy.start();
    const later = await serinOn(copy.url);
    expect((await refusedAt(later, beyond?.cursor ?? '')).extensions).toMatchObject({ lastCursor: last });
    await later.stop();
    await receiver.close();
    await copy.stop();
  }, 120_000);

  test('notifies a node that stays up, although it has seen a later start of the server', async () => {
    const original = await clusters.create();
    let serving = original;
    const proxy = await startProxy(() => serving.port);
    const url = new URL(original.url);
    url.port = String(proxy.port);
    const serin = await serinOn(url.href);
    const early = await still(serin, 'early');
    const narrow = serin.follow(
      'subscription { eventAppended(strategyId: "early", after: "0") { no deploymentId } }',
    );
    const wide = serin.follow(FEED, { after: '0' });
    await wide.take(3);
    await narrow.take(3);
    const last = wide.received[2].cursor;
    await original.stop();
    const copy = await original.copyFolder();
    await original.start();
    const lost = await eventually(() => still(serin, 'lost'));
    await wide.take(6);
    await original.stop('immediate');
    await copy.start();
    serving = copy;
    proxy.cut();
    await until(() => wide.errors.length > 0, 20_000);
    expect(wide.errors.flat()[0]).toMatchObject({
      extensions: { code: 'HISTORY_REWOUND', lastCursor: last },
    });
    // A feed that was sent nothing of what is lost goes on, with ids of transactions that it has passed before.
    await eventually(async () => (await command(serin, 'pauseDeployment', early)).success);
    await narrow.take(4);
    expect(narrow.received.map(({ no }) => no)).toEqual([1, 2, 3, 4]);
    const events = await eventsAfter(serin, last);
    expect(events).toMatchObject([{ no: 4, deploymentId: early }]);
    expect(lost).not.toBe(early);
    await serin.stop();
    await proxy.close();
    await copy.stop();
  }, 120_000);
});

describe('a standby that takes over', () => {
  test('synchronous: a feed continues without gap or repeat, and webhooks are notified of the new epoch', async () => {
    const two = await openPair(clusters, SYNCHRONOUS);
    const serin = await serinOn(two.url);
    const receiver = await startReceiver();
    const { webhook } = await createWebhook(serin, { url: receiver.url });
    const feed = serin.follow(FEED, { after: '0' });
    const id = await still(serin, 'synchronous');
    await change(serin, id, 2);
    await feed.take(5);
    await until(async () => {
      const deliveries = await deliveriesOf(serin, webhook.id);
      return deliveries.length === 5 && deliveries.every(({ status }) => status === 'DELIVERED');
    });
    await two.failOver();
    await eventually(async () => (await command(serin, 'pauseDeployment', id)).success);
    await feed.take(6);
    expect(feed.errors).toEqual([]);
    expect(idsOf(feed.received)).toEqual([...[1, 2, 3, 4, 5].map((no) => `${id}:${no}`), `${id}:6~2`]);
    expect(await eventsAfter(serin, '0')).toEqual(feed.received);
    expect(await eventsAfter(serin, feed.received[2].cursor)).toEqual(feed.received.slice(3));
    await until(() => receiver.taken.length >= 7);
    const types = receiver.taken.map(({ body }) => body.type);
    expect(types.indexOf('HISTORY_REWOUND')).toBe(5);
    expect(receiver.taken[5]?.body.data).toMatchObject({ epoch: 2, lastMessageId: `${id}:5` });
    expect(receiver.taken[6]?.headers['webhook-id']).toBe(`${id}:6~2`);
    await serin.stop();
    await receiver.close();
    await two.close();
  }, 120_000);

  test('with commits lost: a feed that was sent them ends, and nothing is ever sent under their ids', async () => {
    const two = await openPair(clusters);
    const serin = await serinOn(two.url);
    const id = await still(serin, 'asynchronous');
    const early = await still(serin, 'untouched');
    await two.standby.catchUp(two.primary);
    const kept = await eventsAfter(serin, '0');
    // The standby is cut off: what comes now is lost.
    await two.standby.sql.unsafe("alter system set primary_conninfo = ''");
    await two.standby.sql`select pg_reload_conf()`;
    await eventually(async () => (await two.standby.sql`select from pg_stat_wal_receiver`).length === 0);
    const feed = serin.follow(FEED, { after: '0' });
    const narrow = serin.follow(
      'subscription($id: ID) { stateChanged(deploymentId: $id, after: "0") { cursor status } }',
      { id: early },
    );
    await change(serin, id, 2);
    const lost = (await feed.take(8)).slice(6);
    await narrow.take(1);
    await two.failOver();
    await until(() => feed.errors.length > 0, 20_000);
    const last = kept.at(-1)?.cursor;
    expect(feed.errors.flat()[0]).toMatchObject({
      extensions: { code: 'HISTORY_REWOUND', lastCursor: last },
    });
    for (const { cursor } of lost) {
      expect((await refusedAt(serin, cursor)).extensions).toMatchObject({ lastCursor: last });
    }
    await eventually(async () => (await command(serin, 'pauseDeployment', id)).success);
    const again = await eventsAfter(serin, last ?? '');
    expect(again).toMatchObject([{ id: `${id}:4~2`, no: 4 }]);
    expect(idsOf([...kept, ...lost])).not.toContain(again[0]?.id);
    // A feed that was sent nothing of what is lost goes on.
    await command(serin, 'pauseDeployment', early);
    await narrow.take(2);
    expect(narrow.errors).toEqual([]);
    await serin.stop();
    await two.close();
  }, 120_000);
});

describe('recovery to a point in time', () => {
  test('is another timeline: later cursors are refused, earlier ones go on', async () => {
    const archive = await clusters.folder('archive');
    const cluster = await clusters.create([
      'archive_mode = on',
      `archive_command = 'test ! -f ${archive}/%f && cp %p ${archive}/%f'`,
    ]);
    const backup = await cluster.baseBackup();
    const serin = await serinOn(cluster.url);
    const id = await still(serin, 'recovered');
    const kept = await eventsAfter(serin, '0');
    await cluster.sql`select pg_create_restore_point('before the accident')`;
    await change(serin, id, 2);
    const beyond = (await eventsAfter(serin, '0')).at(-1);
    await cluster.sql`select pg_switch_wal()`;
    await cluster.sql`checkpoint`;
    await serin.stop();
    await cluster.stop();
    await backup.configure(
      `restore_command = 'cp ${archive}/%f %p'`,
      "recovery_target_name = 'before the accident'",
      "recovery_target_action = 'promote'",
      'archive_mode = off',
    );
    await mkdir(join(backup.folder, 'pg_wal'), { recursive: true });
    await program('/bin/touch', [join(backup.folder, 'recovery.signal')]);
    await backup.start();
    await eventually(async () => {
      const [row] = await backup.sql`select pg_is_in_recovery() as recovering`;
      return row?.recovering === false;
    });
    const again = await serinOn(backup.url);
    expect(await eventsAfter(again, '0')).toEqual(kept);
    expect((await refusedAt(again, beyond?.cursor ?? '')).extensions).toMatchObject({
      code: 'HISTORY_REWOUND',
      lastCursor: kept.at(-1)?.cursor,
    });
    await change(again, id, 1);
    expect(idsOf(await eventsAfter(again, kept.at(-1)?.cursor ?? ''))).toEqual([`${id}:4~2`]);
    await again.stop();
    await backup.stop();
  }, 120_000);
});

const bin = debianPrograms();
/** Programs that npm does not bring: `scripts/clusterTools.sh` installs them. */
describe.skipIf(bin === null)('a dump', () => {
  const programs = bin ?? '';
  const dump = async (from: Cluster, to: Cluster) => {
    const file = join(await clusters.folder('dump'), 'serin.dump');
    await program(join(programs, 'pg_dump'), ['-Fc', '-f', file, from.url]);
    await program(join(programs, 'pg_restore'), ['--no-owner', '-d', to.url, file]);
  };

  /** Uses up transaction ids until the counter is there. */
  async function raiseCounter(cluster: Cluster, to: bigint): Promise<void> {
    await cluster.stop();
    await program(join(programs, 'pg_resetwal'), ['-x', String(to), '-D', cluster.folder]);
    // The status of those ids has a file that PostgreSQL expects.
    const segment = (to / 1_048_576n).toString(16).toUpperCase().padStart(4, '0');
    await program('/bin/dd', [
      'if=/dev/zero',
      `of=${join(cluster.folder, 'pg_xact', segment)}`,
      'bs=262144',
      'count=1',
    ]);
    await cluster.start();
  }

  test.each([
    ['into a fresh cluster, whose counter is far below the ids in the log', 2_000_000n, null],
    ['into one whose counter is higher', null, 5_000_000n],
  ])(
    '%s',
    async (_name, source, target) => {
      const from = await clusters.create([], programs);
      if (source) await raiseCounter(from, source);
      const old = await serinOn(from.url);
      const receiver = await startReceiver();
      await createWebhook(old, { url: receiver.url });
      const id = await still(old, 'dumped');
      await change(old, id, 2);
      const kept = await eventsAfter(old, '0');
      await until(() => receiver.taken.length >= 5);
      await old.stop();
      const to = await clusters.create([], programs, 'OWN');
      if (target) await raiseCounter(to, target);
      await dump(from, to);
      const serin = await serinOn(to.url);
      expect(await eventsAfter(serin, '0')).toEqual(kept);
      const feed = serin.follow(FEED, { after: kept[1]?.cursor });
      await feed.take(3);
      await change(serin, id, 3);
      await feed.take(6);
      expect(feed.received.map(({ no }) => no)).toEqual([3, 4, 5, 6, 7, 8]);
      expect(await eventsAfter(serin, '0')).toEqual([...kept.slice(0, 2), ...feed.received]);
      expect(idsOf(feed.received).slice(3)).toEqual([`${id}:6~2`, `${id}:7~2`, `${id}:8~2`]);
      await until(() => receiver.taken.length >= 9);
      expect(receiver.taken.slice(6).map(({ headers }) => headers['webhook-id'])).toEqual(
        idsOf(feed.received).slice(3),
      );
      expect(receiver.taken[5]?.body).toMatchObject({ type: 'HISTORY_REWOUND', data: { epoch: 2 } });
      await serin.stop();
      await receiver.close();
      await from.stop();
      await to.stop();
    },
    120_000,
  );
});

describe('logical replication into another cluster', () => {
  test('old events come first and new ones after them, whatever the counters are', async () => {
    const from = await clusters.create();
    const old = await serinOn(from.url);
    const id = await still(old, 'replicated');
    await change(old, id, 2);
    const kept = await eventsAfter(old, '0');
    const to = await clusters.create([], undefined, 'OWN');
    // The tables first, as every guide says: here by a Serin that starts and is stopped, and their rows from the other.
    await (await serinOn(to.url)).stop();
    const tables = await to.sql`
      select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'drizzle')`;
    await to.sql.unsafe(`truncate ${tables.map(({ name }) => name).join(', ')} cascade`);
    await from.sql`create publication moved for all tables with (publish_via_partition_root = true)`;
    await to.sql.unsafe(
      `create subscription moved connection 'host=127.0.0.1 port=${from.port} user=serin dbname=postgres' publication moved`,
    );
    await change(old, id, 2);
    await old.stop();
    await eventually(async () => {
      const [row] = await to.sql`
        select (select count(*)::int from events) as events,
          (select count(*)::int from pg_subscription_rel where srsubstate <> 'r') as unfinished`;
      return row?.unfinished === 0 && row.events === kept.length + 2;
    }, 60_000);
    await to.sql`drop subscription moved`;
    const sequences = await from.sql`
      select format('%I.%I', schemaname, sequencename) as name, last_value::text as value from pg_sequences
      where last_value is not null`;
    for (const { name, value } of sequences) await to.sql`select setval(${name}, ${value}::text::bigint)`;
    const serin = await serinOn(to.url);
    const feed = serin.follow(FEED, { after: kept[1]?.cursor });
    await change(serin, id, 2);
    await feed.take(7);
    expect(feed.received.map(({ no }) => no)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(await eventsAfter(serin, feed.received[3].cursor)).toEqual(feed.received.slice(4));
    await serin.stop();
    await from.stop();
    await to.stop();
  }, 120_000);
});
