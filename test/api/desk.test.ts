/** What a screen over many deployments reads: the list as one feed, the overview, the course of each, and their history. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seriesReader } from '../../src/store/log/series.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { begin, CHECK_SECONDS, type Desk } from '../console/stage.ts';
import { command, create, report, running } from '../harness/deployment.ts';
import { administrator, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const LIST = `subscription($filter: DeploymentFilter) { deploymentsUpdated(filter: $filter) {
  deploymentId matches snapshot complete deployment { id status headline canaryMetrics { metrics { netPnlUsd } } } } }`;

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin?.stop());

const seriesOf = async (id: string, points = 300): Promise<Data> => {
  const { deployment } = await serin.ask(
    `query($id: ID!, $points: Int!) { deployment(id: $id) { series(points: $points) { markers { type description }
      points { at check canaryReturn stableReturn difference canaryDrawdown stableDrawdown low high verdict decision drift
        canaryHeldUsd stableHeldUsd } } } }`,
    { id, points },
  );
  return deployment.series;
};

describe('deploymentsUpdated', () => {
  test('gives every match now, then what changes, what begins to match and what no longer does', async () => {
    const first = await running(serin, { strategyId: 'list-a' });
    await running(serin, { strategyId: 'other' });
    const feed = serin.follow(LIST, { filter: { strategies: ['list-*'], live: true } });
    const [picture] = await feed.take(1);
    expect(picture).toMatchObject({ deploymentId: first, matches: true, snapshot: true, complete: true });

    await command(serin, 'pauseDeployment', first, { reason: 'why not' });
    // A feed of states skips to the newest: on a busy machine it would skip this one.
    await until(() => feed.received.some(({ deployment }) => deployment?.status === 'PAUSED'));
    const created = await create(serin, { strategyId: 'list-b' });
    await command(serin, 'rollbackCanary', first);
    const told = (id: string) => feed.received.filter(({ deploymentId }) => deploymentId === id);
    await until(() => told(first).at(-1)?.matches === false && told(created.deployment.id).length > 0);
    expect(told(first).map(({ deployment }) => deployment?.status ?? null)).toContain('PAUSED');
    expect(told(first).at(-1)).toMatchObject({ deployment: null, snapshot: false, complete: true });
    expect(told(created.deployment.id)[0]).toMatchObject({
      snapshot: false,
      deployment: { status: 'PENDING', headline: expect.stringContaining('Waits for capital') },
    });
    feed.end();
  });

  test('tells of new metrics, and of an empty list at once', async () => {
    const log = serin.follow('subscription { eventAppended(strategyId: "metric-a", after: "0") { no } }');
    const id = await running(serin, { strategyId: 'metric-a', config: { checkIntervalSeconds: 3600 } });
    await report(serin, 'Canary', id, { pnlUsd: '5' });
    // A node that has not read the log to its end tells of what the first picture has.
    const [row] = await serin.database.sql`select event_count from deployments where id = ${id}`;
    await until(() => log.received.at(-1)?.no === row?.event_count);
    log.end();
    const feed = serin.follow(LIST, { filter: { strategyId: 'metric-a' } });
    await feed.take(1);
    await report(serin, 'Canary', id, { pnlUsd: '12.5' });
    const told = () =>
      feed.received.map(({ deployment }: Data) => deployment.canaryMetrics.metrics.netPnlUsd);
    await until(() => told().at(-1) === '12.5');
    // What the first picture has is not sent again.
    expect(told()).toEqual(['5', '12.5']);
    feed.end();

    const empty = serin.follow(LIST, { filter: { strategies: ['nobody*'] } });
    expect(await empty.take(1)).toEqual([
      { deploymentId: null, matches: false, snapshot: true, complete: true, deployment: null },
    ]);
    empty.end();
  });

  test('refuses a picture of more than a thousand with what to do', async () => {
    await serin.database.sql`
      insert into strategies (id, stable_version_id, created_at, updated_at)
      select 'crowd-' || n, 'v1', now(), now() from generate_series(1, 1001) n`;
    await serin.database.sql`
      insert into deployments (id, strategy_id, chain, stable_version_id, canary_version_id, status, revision, event_count,
        created_at, created_by, canary_percent, config, detail, breaches)
      select 'dep_crowd_' || n, 'crowd-' || n, 'unknown', 'v1', 'v2', 'PENDING', 1, 1, now(), 'test', 10, d.config,
        '{"status": "PENDING"}', d.breaches
      from generate_series(1, 1001) n, (select config, breaches from deployments limit 1) d`;
    const feed = serin.follow(LIST, { filter: { strategies: ['crowd-*'] } });
    await until(() => feed.errors.length > 0);
    expect(feed.errors[0]).toMatchObject([
      {
        message: '1001 deployments match, at most 1000 can be followed: narrow the filter',
        extensions: { code: 'TOO_COMPLEX' },
      },
    ]);
    await serin.database.sql`delete from deployments where id like 'dep_crowd_%'`;
  });
});

describe('the overview', () => {
  const ask = async () =>
    (
      await serin.ask(`{ overview { at counts { status count } waitingForPerson capitalOnTrialUsd lossTodayUsd
        overdueAllocations } }`)
    ).overview;

  test('counts what is live, what waits, the capital on trial, the loss of today and what is overdue', async () => {
    const open = await startTestSerin({ access: WITH_KEYS });
    const desk = await administrator(open);
    try {
      // A loss of today counts from midnight: its clock, which runs fast, is set far from it.
      const [clock] = await open.database.sql`
        select date_part('epoch', date_trunc('day', serin_now()) + interval '25 hours' - serin_now()) as until_one`;
      await open.advance(Number(clock?.until_one));
      const losing = await running(desk, { strategyId: 'losing' });
      await report(desk, 'Canary', losing, { pnlUsd: '-40' });
      const earning = await running(desk, { strategyId: 'earning' });
      await report(desk, 'Canary', earning, { pnlUsd: '100' });
      const asked = await running(desk, {
        strategyId: 'asked',
        config: { requireApproval: true, guardrails: { maxStaleSeconds: null } },
      });
      await command(desk, 'acknowledgeAllocation', asked, { number: 1, side: 'CANARY', heldUsd: '9000' });
      await command(desk, 'promoteCanary', asked);
      const ended = await running(desk, { strategyId: 'ended' });
      await command(desk, 'rollbackCanary', ended);
      const { overview } = await desk.ask(
        '{ overview { counts { status count } waitingForPerson capitalOnTrialUsd lossTodayUsd } }',
      );
      expect(overview).toEqual({
        counts: [
          { status: 'ROLLED_BACK', count: 1 },
          { status: 'RUNNING', count: 3 },
        ],
        waitingForPerson: 1,
        capitalOnTrialUsd: '29000',
        lossTodayUsd: '40',
      });
    } finally {
      await open.stop();
    }
  });

  test('calls an allocation overdue where a side that answers has left the latest one alone', async () => {
    const id = await running(serin, { strategyId: 'overdue' });
    await command(serin, 'acknowledgeAllocation', id, { number: 1, side: 'CANARY', heldUsd: '10000' });
    expect((await ask()).overdueAllocations).toBe(0);
    await command(serin, 'rollbackCanary', id);
    await serin.advance(400);
    await until(async () => (await ask()).overdueAllocations === 1);
  });

  test('comes again when something changes', async () => {
    const feed = serin.follow('subscription { overviewUpdated { counts { status count } } }');
    await feed.take(1);
    const pending = ({ counts }: Data) => counts.find(({ status }: Data) => status === 'PENDING')?.count ?? 0;
    const before = pending(feed.received[0]);
    await create(serin, { strategyId: 'one-more' });
    await until(() => pending(feed.received.at(-1)) === before + 1);
    feed.end();
  });
});

describe('the course of a deployment', () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await begin(serin, [
      {
        id: 'dep_course',
        strategyId: 'course',
        config: {
          autoPromote: true,
          // On a slow machine few reports are there when the first step ends: the share of them changes no decision.
          promotionCriteria: { minTrades: 1, minSharpeRatio: '0' },
          evidence: { mode: 'OFF' },
          steps: [
            { canaryPercent: '10', minutes: 2 },
            { canaryPercent: '25', minutes: 600 },
          ],
        },
        edge: 0.001,
      },
    ]);
    await desk.trade(30, 60);
    await until(async () => (await seriesOf('dep_course')).points.at(-1).check >= 14, 60_000);
  });

  test('has a point a check, as the samples have it, with the returns that decisions are made on', async () => {
    const { points, markers } = await seriesOf('dep_course');
    const last = points.at(-1);
    expect(points.map(({ check }: Data) => check)).toEqual(points.map((_: Data, index: number) => index + 1));
    expect(last.difference).toBeCloseTo(last.canaryReturn - last.stableReturn, 12);
    expect(last.canaryDrawdown).toBeGreaterThanOrEqual(0);
    // On a busy machine checks are late, and late ones form no pair: then there is no interval.
    for (const { low, high } of points) expect(low === null ? high === null : low < high).toBe(true);
    expect(markers.map(({ type }: Data) => type)).toEqual(
      expect.arrayContaining(['CANARY_STARTED', 'ALLOCATION_ACKNOWLEDGED', 'STEP_STARTED', 'DECISION_MADE']),
    );
    const { deployment } = await serin.ask(
      `{ deployment(id: "dep_course") { samples(last: 200) { nodes { check at } } decisionHistory { record }
        comparison { evidence { drift { threshold } } } } }`,
    );
    // Before the eleventh pair the detector stands where it starts: at a two hundredth of its threshold.
    const { threshold } = deployment.comparison.evidence.drift;
    expect(points[0].drift).toBeCloseTo(threshold - Math.log(200), 9);
    const { nodes } = deployment.samples;
    expect(points.slice(0, nodes.length).map(({ check, at }: Data) => ({ check, at }))).toEqual(
      nodes.slice(0, points.length),
    );
  });

  test('is thinned to the requested number of points, keeps the first and the last, and grows with the log', async () => {
    const { points } = await seriesOf('dep_course', 6);
    expect(points.length).toBeLessThanOrEqual(6);
    expect(points[0].check).toBe(1);
    const before = points.at(-1).check;
    await desk.report();
    await serin.advance(CHECK_SECONDS);
    await until(async () => (await seriesOf('dep_course', 6)).points.at(-1).check > before);
    const refused = await serin.post(
      '{ deployment(id: "dep_course") { series(points: 1) { markers { at } } } }',
    );
    expect(refused.errors?.[0]?.message).toBe('points must be between 2 and 1000, got 1');
  });

  test('is the same from the stored points and from the log', async () => {
    const courseIn = async () => {
      const { db, close } = openDatabase({ url: serin.database.url, poolSize: 1 });
      const course = await seriesReader(db).read('dep_course');
      await close();
      return course.draw(10_000);
    };
    const stored = await courseIn();
    await serin.database.sql`update samples set point = null where deployment_id = 'dep_course'`;
    const replayed = await courseIn();
    expect(stored.points.length).toBeGreaterThan(14);
    // Checks go on meanwhile.
    expect(replayed.points.slice(0, stored.points.length)).toEqual(stored.points);
    expect(replayed.markers.slice(0, stored.markers.length)).toEqual(stored.markers);
  });

  test('thirty deployments with 200 points each are within the cost of one request', async () => {
    const ids = Array.from({ length: 30 }, () => 'dep_course');
    const { errors } = await serin.post(
      `query($ids: [ID!]!) { nodes(ids: $ids) { ... on CanaryDeployment { series(points: 200) { points {
        canaryReturn stableReturn low high } } } } }`,
      { ids },
    );
    expect(errors).toBeUndefined();
  });

  test('the newest events are one page from the end, and pages go back from there', async () => {
    const page = async (before: string | null): Promise<Data> =>
      (
        await serin.ask(
          `query($before: String) { deployment(id: "dep_course") { events(last: 5, before: $before) {
          nodes { no } pageInfo { startCursor hasPreviousPage } } } }`,
          { before },
        )
      ).deployment.events;
    const newest = await page(null);
    const older = await page(newest.pageInfo.startCursor);
    const numbers = [...older.nodes, ...newest.nodes].map(({ no }: Data) => no);
    expect(numbers).toEqual(numbers.map((_: number, index: number) => numbers[0] + index));
    expect(older.pageInfo.hasPreviousPage).toBe(true);

    const { events } = await serin.ask(
      '{ events(last: 3, filter: { deploymentId: "dep_course", types: [STEP_STARTED, CANARY_STARTED] }) { nodes { type } } }',
    );
    expect(events.nodes).toEqual([{ type: 'CANARY_STARTED' }, { type: 'STEP_STARTED' }]);
    const { early } = await serin.ask(
      '{ early: events(last: 3, filter: { deploymentId: "dep_course", to: "2000-01-01T00:00:00Z" }) { nodes { no } } }',
    );
    expect(early.nodes).toEqual([]);
  });

  test('every allocation is there with its answers', async () => {
    const { deployment } = await serin.ask(`{ deployment(id: "dep_course") { allocations(first: 10) { nodes {
      number cause canaryUsd sides { side heldUsd acknowledgedNumber } } } } }`);
    expect(deployment.allocations.nodes).toMatchObject([
      { number: 1, cause: 'DEPLOY', canaryUsd: '10000', sides: [{ heldUsd: '10000' }, { heldUsd: '90000' }] },
      { number: 2, cause: 'STEP', canaryUsd: '25000', sides: [{ acknowledgedNumber: 1 }, {}] },
    ]);
  });
});

test('a strategy tells its deployments and the versions that were stable', async () => {
  const promoted = await running(serin, {
    strategyId: 'history',
    stableVersionId: 'v1',
    canaryVersionId: 'v2',
  });
  await command(serin, 'promoteCanary', promoted);
  const live = await create(serin, {
    strategyId: 'history',
    stableVersionId: undefined,
    canaryVersionId: 'v3',
  });
  const { strategy } =
    await serin.ask(`{ strategy(id: "history") { stableVersions { versionId since until deploymentId }
    deployments(first: 5) { totalCount nodes { id } } liveDeployments { id } } }`);
  expect(strategy).toMatchObject({
    stableVersions: [
      { versionId: 'v1', deploymentId: null },
      { versionId: 'v2', until: null, deploymentId: promoted },
    ],
    deployments: { totalCount: 2, nodes: [{ id: live.deployment.id }, { id: promoted }] },
    liveDeployments: [{ id: live.deployment.id }],
  });
});
