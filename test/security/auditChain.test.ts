/** The audit trail is sealed in a chain of hashes: whatever is changed, removed or added afterwards shows. */
import { execFile } from 'node:child_process';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyAudit } from '../../src/cli/audit.ts';
import { EXIT } from '../../src/cli/exitCodes.ts';
import { readAuditChain, sealAuditRecords, verifyAuditTrail } from '../../src/store/log/auditChain.ts';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { command, create } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { PROGRAM } from '../harness/program.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let database: Database;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  database = openDatabase({ url: serin.database.url, poolSize: 2 });
});
afterAll(async () => {
  await database.close();
  await serin.stop();
});

const verify = (kept: Parameters<typeof verifyAuditTrail>[1] = null) => verifyAuditTrail(database.db, kept);
const allSealed = () =>
  until(async () => {
    const { unsealed, records } = await verify();
    return unsealed === 0 && records > 0;
  });

/** Some acts, sealed in several blocks. */
async function act(times = 3): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await makeKey(root, 'VIEWER');
    await makeKey(root, 'BOT');
    await allSealed();
  }
}

/** Verifies the trail after a change that is then undone. */
async function verifyAfter(...changes: readonly string[]) {
  let found: Awaited<ReturnType<typeof verifyAuditTrail>> | null = null;
  await database.db
    .transaction(async (tx) => {
      for (const change of changes) await tx.execute(sql.raw(change));
      found = await verifyAuditTrail(tx, null);
      tx.rollback();
    })
    .catch(() => {});
  if (!found) throw new Error('a change could not be made');
  return (found as Awaited<ReturnType<typeof verifyAuditTrail>>).broken;
}

async function middle(): Promise<{ block: number; ids: string[] }> {
  const [row] = await serin.database.sql`
    select number::int as block, record_ids::text[] as ids from audit_blocks where cardinality(record_ids) > 1
    order by number desc offset 1 limit 1`;
  return { block: row?.block, ids: row?.ids };
}

test('acts of concurrent writers on two nodes are all sealed, each once', async () => {
  const second = await startTestSerin({ access: WITH_KEYS, databaseUrl: serin.database.url });
  try {
    const key = await makeKey(root, 'OPERATOR');
    const callers = [serin.as(key), second.as(key)];
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const caller = callers[index % 2] ?? root;
        const { deployment } = await create(caller, { strategyId: `chain-${index}` });
        await command(caller, 'cancelDeployment', deployment.id);
      }),
    );
    await allSealed();
    const [counts] = await serin.database.sql`
      select (select count(*)::int from audit_records) as records,
        (select count(distinct id)::int from audit_blocks, unnest(record_ids) as id) as ids,
        (select sum(cardinality(record_ids))::int from audit_blocks) as sealed`;
    expect(counts).toMatchObject({ ids: counts?.records, sealed: counts?.records });
    expect((await verify()).broken).toBeNull();
  } finally {
    await second.stop();
  }
});

test('a record that commits late is sealed after those that committed before it, and nothing waits', async () => {
  await allSealed();
  let late = '';
  await serin.database.sql.begin(async (tx) => {
    const [row] = await tx`
      insert into audit_records (actor, action, subject, details) values ('late', 'DEPLOY', 'x', '{}') returning id::text`;
    late = row?.id;
    await makeKey(root, 'VIEWER');
    expect(await sealAuditRecords(database.db)).toBeNull();
    expect((await verify()).broken).toBeNull();
  });
  await allSealed();
  const [row] = await serin.database.sql`
    select count(*)::int as count from audit_blocks where ${late}::bigint = any(record_ids)`;
  expect(row?.count).toBe(1);
  expect((await verify()).broken).toBeNull();
});

describe('what was done to a sealed trail shows, with the first record that does not fit', () => {
  beforeAll(() => act());

  test.each([
    ["update audit_records set actor = 'grace' where id = ID", 'the record was changed'],
    [`update audit_records set details = details || '{"reason": "another"}' where id = ID`, 'was changed'],
    ["update audit_records set at = at - interval '1 day' where id = ID", 'was changed'],
    ['update audit_records set strategies = null, subject = subject || $$x$$ where id = ID', 'was changed'],
    ['delete from audit_records where id = ID', 'the record was removed'],
  ])('%s', async (change, problem) => {
    const { block, ids } = await middle();
    expect(await verifyAfter(change.replaceAll('ID', ids[0] ?? ''))).toEqual({
      block,
      recordId: ids[0],
      problem: expect.stringContaining(problem),
    });
  });

  test('a record that was added among the sealed ones', async () => {
    const { block, ids } = await middle();
    const broken = await verifyAfter(`
      insert into audit_records (id, at, actor, action, subject, details, incarnation, xid)
      select -7, at, actor, action, subject, details, incarnation, xid from audit_records where id = ${ids[1]}`);
    expect(broken).toEqual({ block, recordId: '-7', problem: 'the record was added afterwards' });
  });

  test('two records that changed places, and one that was moved to the end', async () => {
    const { block, ids } = await middle();
    const swap = `update audit_records set id = case id when ${ids[0]} then ${ids[1]} else ${ids[0]} end
      where id in (${ids[0]}, ${ids[1]})`;
    // The primary key is checked row by row.
    const broken = await verifyAfter('alter table audit_records drop constraint audit_records_pkey', swap);
    expect(broken).toMatchObject({ block, recordId: ids[0] });
    const moved = await verifyAfter(
      `update audit_records set xid = pg_current_xact_id(), incarnation = serin_incarnation() where id = ${ids[0]}`,
    );
    expect(moved).toMatchObject({ block, recordId: ids[0], problem: 'the record was removed' });
  });

  test('blocks that were removed or changed, with their records or without', async () => {
    const { block, ids } = await middle();
    expect(await verifyAfter(`delete from audit_blocks where number = ${block}`)).toMatchObject({ block });
    const whole = await verifyAfter(
      `delete from audit_records where id in (${ids.join(', ')})`,
      `delete from audit_blocks where number = ${block}`,
    );
    expect(whole).toMatchObject({ block, recordId: null, problem: 'the block was removed' });
    for (const change of ["sealed_at = sealed_at - interval '1 day'", "hash = sha256('x')"])
      expect(await verifyAfter(`update audit_blocks set ${change} where number = ${block}`)).toMatchObject({
        block,
        recordId: null,
      });
    expect(
      await verifyAfter(`update audit_blocks set last_id = ${ids[0]} where number = ${block}`),
    ).toMatchObject({ block });
  });

  test('a chain that was made anew, against a hash that was kept outside', async () => {
    const { head } = await readAuditChain(database.db);
    if (!head) throw new Error('nothing is sealed');
    expect((await verify(head)).broken).toBeNull();
    expect((await verify({ number: head.number, hash: head.hash.slice(0, 12) })).broken).toBeNull();
    await database.db
      .transaction(async (tx) => {
        await tx.execute(sql`delete from audit_records where id = (select min(id) from audit_records)`);
        await tx.execute(sql`delete from audit_blocks`);
        while (await sealAuditRecords(tx));
        expect((await verifyAuditTrail(tx, null)).broken).toBeNull();
        expect((await verifyAuditTrail(tx, head)).broken).toMatchObject({ block: head.number });
        tx.rollback();
      })
      .catch((error) => {
        if (!/rollback/i.test(String(error))) throw error;
      });
    const other = { number: head.number, hash: 'f'.repeat(64) };
    expect((await verify(other)).broken).toMatchObject({ block: head.number, recordId: null });
  });
});

test('records of earlier versions are sealed first, many in a block', async () => {
  await serin.restart({}, async () => {
    await serin.database.sql`update audit_records set incarnation = 0, xid = '0'`;
    await serin.database.sql`insert into audit_records (actor, action, subject, details, incarnation, xid)
      select 'old', 'DEPLOY', 'dep_' || n, '{}', 0, '0' from generate_series(1, 2500) n`;
    await serin.database.sql`delete from audit_blocks`;
  });
  await makeKey(root, 'VIEWER');
  await allSealed();
  const { records, broken } = await verify();
  expect(broken).toBeNull();
  expect(records).toBeGreaterThan(2500);
  const blocks = await serin.database.sql`
    select cardinality(record_ids) as records from audit_blocks order by number limit 2`;
  expect(blocks.map(({ records: count }) => count)).toEqual([1000, 1000]);
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
const cli = (...args: string[]) =>
  new Promise<Ran>((resolve) => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: serin.database.url };
    execFile(process.execPath, [PROGRAM, 'audit', 'verify', ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

test('serin audit verify says so, with an exit code for scripts', async () => {
  await allSealed();
  const { head } = await readAuditChain(database.db);
  const kept = `${head?.number}:${head?.hash}`;
  const good = await cli('--expect', kept);
  expect(good).toMatchObject({ code: 0, stderr: '' });
  expect(good.stdout).toContain(`Newest block ${kept}`);
  await expect(verifyAudit({ expect: 'nonsense' }, {})).rejects.toMatchObject({ exitCode: EXIT.usage });
  await serin.database.sql`update audit_records set actor = 'mallory' where subject = 'dep_1'`;
  const [row] = await serin.database.sql`select id::text from audit_records where subject = 'dep_1'`;
  const bad = await cli('--json');
  expect(bad.code).toBe(EXIT.broken);
  expect(bad.stderr).toContain(`record ${row?.id}, in block 1: the record was changed`);
  expect(JSON.parse(bad.stdout)).toMatchObject({ broken: { block: 1, recordId: row?.id } });
});

test('/metrics has the newest block and its hash', async () => {
  const open = await startTestSerin();
  try {
    await create(open);
    const metric = async (name: string) => {
      const text = await (await fetch(`${open.url}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    };
    await until(async () => (await metric('serin_audit_block')) > 0);
    const [row] = await open.database
      .sql`select encode(hash, 'hex') as hash from audit_blocks where number = 1`;
    await until(async () => (await metric('serin_audit_unsealed_seconds')) === 0);
    expect((await metric('serin_audit_block_hash')).toString(16).padStart(12, '0')).toBe(
      row?.hash.slice(0, 12),
    );
  } finally {
    await open.stop();
  }
});
