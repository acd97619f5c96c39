/** A database that the first version of the rule left behind: what was decided stays, and what lives goes over. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromDocument } from '../../src/core/document/document.ts';
import { command } from '../harness/deployment.ts';
import { oldDatabase } from '../harness/rule1.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const old = oldDatabase();
/** What an export says today: the second version of documents names the clock, here that of a test. */
const EXPORTED_NOW = { version: 2, clockRate: 60 };
let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
  const { sql } = serin.database;
  const latest = Math.max(...rowsOf('events').map(({ at }) => Date.parse(String(at))));
  const [clock] = await sql`select date_part('epoch', serin_now()) * 1000 as now`;
  await serin.advance((latest - Number(clock?.now)) / 1000 + 1);
  await sql.begin(async (tx) => {
    for (const table of ['strategies', 'deployments', 'events', 'side_metrics', 'samples', 'archives']) {
      const rows = rowsOf(table);
      // What later versions added, and transactions of another cluster, take their defaults.
      const columns = Object.keys(rows[0] ?? {}).flatMap((name) => (name === 'xid' ? [] : [`"${name}"`]));
      await tx.unsafe(
        `insert into ${table} (${columns}) select ${columns} from jsonb_populate_recordset(null::${table}, $1::text::jsonb)`,
        [JSON.stringify(rows)],
      );
    }
    await tx`select setval('events_id_seq', (select max(id) from events))`;
  });
});
afterAll(() => serin.stop());

/** The rows of a table. One deployment was checked while its rows were read: what came after its state is left out. */
function rowsOf(table: string) {
  const rows = old.tables[table] ?? [];
  if (table !== 'events' && table !== 'samples') return rows;
  const states = new Map((old.tables.deployments ?? []).map((row) => [row.id, Object(row)]));
  return rows.filter((row) => {
    const { event_count: events, detail } = states.get(row.deployment_id);
    return table === 'events' ? Number(row.no) <= events : Number(row.check) <= detail.observation.checks;
  });
}
const exported = async (id: string): Promise<Data> =>
  (await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id })).exportDeployment;
const eventsOf = async (id: string): Promise<Data[]> => (await exported(id)).events;
const typesOf = async (id: string) => (await eventsOf(id)).map(({ type }) => type);

test('what has ended is what it was: its document, its decisions, archived or not', async () => {
  for (const id of ['dep_old-archived', 'dep_old-promoted']) {
    expect(await exported(id)).toEqual({ ...old.documents[id], ...EXPORTED_NOW });
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { comparison { evidence { verdict pairs drift { value } effectivePairs summary } }
        decisionHistory { decision comparison { evidence { pairs by difference { mean } outlook { advice } } } } } }`,
      { id },
    );
    expect(deployment.comparison.evidence).toMatchObject({ drift: null, effectivePairs: null });
    expect(deployment.decisionHistory[0].comparison.evidence).toMatchObject({ by: null, outlook: null });
  }
});

test.each(['dep_old-running', 'dep_old-paused', 'dep_old-waits'])(
  '%s goes over before its next check, and its timeline says so',
  async (id) => {
    await serin.advance(20);
    await until(async () => (await typesOf(id)).includes('RULE_CHANGED'));
    const events = await eventsOf(id);
    const count = Object(rowsOf('deployments').find((row) => row.id === id)).event_count;
    const before = Object(old.documents[id]).events.slice(0, count);
    expect(events.slice(0, before.length)).toEqual(before);
    expect(events[before.length]).toMatchObject({ type: 'RULE_CHANGED', from: 1, to: 2, actor: 'serin' });
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { revision
        events(types: [RULE_CHANGED]) { edges { node { description } } }
        comparison { evidence { pairs effectivePairs drift { value threshold } } } } }`,
      { id },
    );
    // Nobody's expectedRevision is stale for it.
    expect(deployment.revision).toBe(rowsOf('deployments').find((row) => row.id === id)?.revision);
    expect(deployment.events.edges[0].node.description).toMatch(
      /^Decision rule 2 from here on; .* of \d+ pairs$/,
    );
    const { evidence } = deployment.comparison;
    expect(evidence.pairs).toBeGreaterThan(5);
    expect(evidence.effectivePairs).toBeGreaterThan(2);
    expect(evidence.drift.threshold).toBeGreaterThan(evidence.drift.value);
    const read = fromDocument(await exported(id));
    expect(read).toMatchObject({ ok: true, value: { state: { rule: 2 } } });
  },
);

test('a pending one goes over with the command that deploys it', async () => {
  const id = 'dep_old-pending';
  expect(await command(serin, 'deployCanary', id, { capitalUsd: '1000' })).toMatchObject({ success: true });
  expect((await typesOf(id)).slice(0, 3)).toEqual(['DEPLOYMENT_CREATED', 'RULE_CHANGED', 'CANARY_STARTED']);
});

test('a command that is refused changes nothing, the rule neither', async () => {
  const id = 'dep_old-archived';
  expect(await command(serin, 'promoteCanary', id)).toMatchObject({ success: false });
  expect(await exported(id)).toEqual({ ...old.documents[id], ...EXPORTED_NOW });
});
