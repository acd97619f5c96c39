/** Where queries are read from when there is a replica. Its own server is the replica here; real standbys are in test/clusters. */
import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectSerin } from '../../src/client/index.ts';
import { readEnvironment } from '../../src/environment/environment.ts';
import { checkReplicaAddress } from '../../src/store/postgres/replica.ts';
import { running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

describe('the variables', () => {
  const database = { DATABASE_URL: 'postgres://primary/serin' };

  test('name a standby, and the lag that it may have', () => {
    expect(readEnvironment(database).replica).toBeNull();
    const standby = { ...database, SERIN_READ_URL: 'postgres://standby/serin' };
    expect(readEnvironment(standby).replica).toEqual({ url: 'postgres://standby/serin', maxLagMs: 10_000 });
    expect(readEnvironment({ ...standby, SERIN_READ_MAX_LAG_SECONDS: '3' }).replica?.maxLagMs).toBe(3000);
  });

  test.each([
    [
      { ...database, SERIN_READ_URL: 'standby:5432' },
      /^SERIN_READ_URL must be the PostgreSQL address of a standby/,
    ],
    [
      { ...database, SERIN_READ_MAX_LAG_SECONDS: '0' },
      /^SERIN_READ_MAX_LAG_SECONDS must be a number of seconds from 1 to 300 .*got "0"/,
    ],
    [{ SERIN_READ_URL: 'postgres://standby/serin' }, /^SERIN_READ_URL needs DATABASE_URL/],
  ])('%o is refused with a sentence', (variables, sentence) => {
    expect(() => readEnvironment(variables)).toThrow(sentence);
  });

  test('a password in it is not shown', () => {
    const bad = { ...database, SERIN_READ_URL: 'mysql://ada:hunter2@standby/serin' };
    expect(() => readEnvironment(bad)).toThrow(/^(?!.*hunter2)/);
  });

  test('an address may ask for a standby, and what is wrong with it is said by its name', () => {
    expect(checkReplicaAddress('postgres://one,two/serin?target_session_attrs=standby', {})).toEqual([]);
    expect(() => checkReplicaAddress('postgres://one/serin?sslmode=perhaps', {})).toThrow(
      /^SERIN_READ_URL: sslmode must be one of/,
    );
    expect(checkReplicaAddress('postgres://one/serin?colour=red', {})).toEqual([
      'SERIN_READ_URL: the parameter "colour" is unknown and has no effect',
    ]);
  });
});

describe('a node with a replica', () => {
  let serin: TestSerin;
  let id: string;

  async function served(server: string): Promise<number> {
    const text = await (await fetch(`${serin.url}/metrics`)).text();
    return Number(new RegExp(`serin_replica_reads_total\\{server="${server}"\\} (\\d+)`).exec(text)?.[1]);
  }
  const ready = async (): Promise<Data> => (await fetch(`${serin.url}/ready`)).json();

  /** Which server answers an operation; null where only the primary may. */
  async function serverOf(query: string, headers: Record<string, string> = {}): Promise<string | null> {
    const before = { replica: await served('replica'), primary: await served('primary') };
    const { errors } = await serin.post(query, {}, { 'x-serin-actor': 'reader', ...headers });
    expect(errors).toBeUndefined();
    if ((await served('replica')) > before.replica) return 'replica';
    return (await served('primary')) > before.primary ? 'primary' : null;
  }

  beforeAll(async () => {
    serin = await startTestSerin();
    expect(await ready()).toEqual({ status: 'ready' });
    id = await running(serin);
    await serin.restart({ replica: { url: serin.database.url, maxLagMs: 60_000 } });
    await until(async () => (await ready()).replica.used);
  });
  afterAll(() => serin.stop());

  test.each([
    ['{ deployments { nodes { id headline } totalCount } }', 'replica'],
    ['{ strategies { nodes { id } } events { nodes { no } } overview { capitalOnTrialUsd } }', 'replica'],
    [
      'query { ...all } fragment all on Query { __typename ... on Query { auditRecords { nodes { action } } } }',
      'replica',
    ],
    ['{ exportDeployment(id: "ID") }', 'replica'],
    ['{ deployment(id: "ID") { status series { points { at } } } }', 'replica'],
    ['{ deployment(id: "ID") { status events { nodes { no } } } }', null],
    ['{ deployments { nodes { id } } deployment(id: "ID") { status } }', null],
    ['{ freezes { nodes { id } } lossBudgets { nodes { id } } viewer { role } }', null],
  ])('%s: %s', async (query, server) => {
    await until(async () => (await serverOf(query.replace('ID', id))) === server);
  });

  // Walked at every spread they take minutes, in which no timer runs.
  test('fragments that laugh are looked at once each', { timeout: 20_000 }, async () => {
    const ten = (next: number) => `...F${next} `.repeat(10);
    const fragments = Array.from({ length: 8 }, (_, i) => `fragment F${i} on Query { ${ten(i + 1)} }`);
    const query = `{ ...F0 deployments { totalCount } } ${fragments.join(' ')} fragment F8 on Query { __typename }`;
    await until(async () => (await serverOf(query)) === 'replica');
  });

  test('an answer with an error is the primary’s, and is the same as without a replica', async () => {
    const query = '{ events(after: "7.0123abcd-1-1") { nodes { no } } }';
    const before = await served('primary');
    const { errors } = await serin.post(query);
    expect(errors).toMatchObject([{ extensions: { code: 'HISTORY_REWOUND', path: ['after'] } }]);
    expect(await served('primary')).toBe(before + 1);
    expect((await ready()).replica.used).toBe(true);
  });

  test('a mutation says how far its reader must be, and a query that asks for more is the primary’s', async () => {
    const response = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-serin-actor': 'writer' },
      body: JSON.stringify({
        query: `mutation { pauseDeployment(input: { deploymentId: "${id}" }) { success } }`,
      }),
    });
    expect(await response.json()).toEqual({
      data: { pauseDeployment: { success: true } },
      extensions: { timeScale: 60 },
    });
    const position = response.headers.get('serin-position') ?? '';
    expect(position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    const list = '{ deployments { nodes { id } } }';
    await until(async () => (await serverOf(list, { 'serin-position': position })) === 'replica');
    expect(await serverOf(list, { 'serin-position': 'FFFFFF/0' })).toBe('primary');
    const { errors } = await serin.post(list, {}, { 'serin-position': 'yesterday' });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  });

  test('the clients send it with what they ask next', async () => {
    const sent: (string | null)[] = [];
    const said: (string | null)[] = [];
    const client = connectSerin({
      url: serin.url,
      actor: 'bot',
      async fetch(address, init) {
        sent.push(new Headers(init?.headers).get('serin-position'));
        const response = await fetch(address, init);
        said.push(response.headers.get('serin-position'));
        return response;
      },
    });
    await client.command('resumeDeployment', { deploymentId: id });
    await client.query('{ deployments { nodes { id } } }');
    expect(said[0]).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(sent).toEqual([null, said[0]]);
  });

  test('a write that may still come keeps its caller on the primary, whatever else they write meanwhile', async () => {
    const headers = { 'x-serin-actor': 'both' };
    const pause = (of: string) =>
      serin.post(`mutation { pauseDeployment(input: { deploymentId: "${of}" }) { success } }`, {}, headers);
    const slow = await serin.database.sql.begin(async (sql) => {
      await sql`select from deployments where id = ${id} for update`;
      const answer = pause(id);
      await until(async () => {
        const waiting = await sql`select from pg_stat_activity where wait_event_type = 'Lock'
          and datname = current_database()`;
        return waiting.length > 0;
      });
      expect((await pause('')).errors).toHaveLength(1);
      return { answer };
    });
    expect((await slow.answer).errors).toBeUndefined();
    expect(await serverOf('{ deployments { nodes { id } } }', headers)).toBe('primary');
  });

  const hasPython = spawnSync('python3', ['--version']).status === 0;
  test.skipIf(!hasPython)('the Python client does so, too', () => {
    const program = `
import sys
sys.path.insert(0, "clients/python")
from serin._http import Http, position
http = Http("http://127.0.0.1:1", None, None, 1, 1, print)
seen = [position("1/FF"), position("nothing"), position(None), max(position("FF/0"), position("1/FFFFFFFF"))]
http._written = seen[3]
print(seen, "%X/%X" % http._written)`;
    const said = execFileSync('python3', ['-c', program], { encoding: 'utf8' });
    expect(said.trim()).toBe('[(1, 255), (0, 0), (0, 0), (255, 0)] FF/0');
  });
});
