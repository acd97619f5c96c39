/** What a node has read before, and what PostgreSQL sends again: a read finds what anyone has written. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sql as sqlText } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import fc from 'fast-check';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { growDeployments } from '../../bench/harness/grow.ts';
import { pageDeployments } from '../../src/store/deployments/deploymentPages.ts';
import {
  type DeploymentView,
  findDeployment,
  findDeployments,
} from '../../src/store/deployments/deployments.ts';
import { CHARACTERS } from '../../src/store/deployments/knownRows.ts';
import { startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import type { Queries } from '../../src/store/postgres/database.ts';
import { CALM, command, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let ids: string[];
/** A deployment that no node checks meanwhile. */
const calm = { config: { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 100_000 } };
beforeAll(async () => {
  serin = await startTestSerin();
  ids = [await running(serin, calm), await running(serin, calm), await running(serin, calm)];
  for (const id of ids) await report(serin, 'Canary', id, { pnlUsd: '12.5', trades: 9 });
});
afterAll(() => serin.stop());

const newest = { filter: { scope: null }, order: { by: 'CREATED_AT', descending: true } } as const;
const page = (db: Queries) => pageDeployments(db, { ...newest, limit: 10, fromEnd: false });
/** A view as JSON, without the time at which it was read. */
const timeless = (view: DeploymentView | null | undefined): unknown =>
  JSON.parse(JSON.stringify({ ...view, now: null }));

/** Reads as a node that has read nothing yet. */
async function readAnew(db: Queries, id: string): Promise<DeploymentView | null> {
  vi.resetModules();
  const fresh = await import('../../src/store/deployments/deployments.ts');
  return fresh.findDeployment(db, id);
}

/** A database that keeps the rows that it answers with. */
function listening(on: TestSerin = serin): {
  db: PostgresJsDatabase;
  statements: () => number;
  rows: () => Promise<Record<string, unknown>[]>;
} {
  const sent: { readonly text: string; readonly parameters: unknown[] }[] = [];
  const logQuery = (text: string, parameters: unknown[]) => void sent.push({ text, parameters });
  const db = drizzle(on.database.sql, { logger: { logQuery } });
  return {
    db,
    /** How many statements have been sent. */
    statements: () => sent.length,
    /** The rows of the last read. */
    async rows() {
      const { text = '', parameters = [] } = sent.at(-1) ?? {};
      return on.database.sql.unsafe(
        text,
        parameters.map((value) => (Array.isArray(value) ? value.map(String) : String(value))),
      );
    },
  };
}

test('what is known is bounded also where each deployment has a large configuration of its own', async () => {
  const many = await startTestSerin();
  try {
    const dates = Array.from({ length: 400 }, (_, n) =>
      new Date(Date.UTC(2030, 0, 1 + n)).toISOString().slice(0, 10),
    );
    const tradingHours = {
      timeZone: 'America/New_York',
      sessions: [{ days: ['MONDAY'], open: '09:30', close: '16:00' }],
      closed: dates,
    };
    const pattern = await running(many, {
      config: { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 1000, tradingHours },
    });
    const COUNT = 2000;
    await growDeployments(many.database.sql, pattern, COUNT);
    const grown = Array.from({ length: COUNT }, (_, n) => `grown-${n + 1}`);
    const { db, rows } = listening(many);
    await findDeployments(db, grown);
    await findDeployments(db, grown);
    // What is not sent is known.
    const known = new Set((await rows()).filter(({ deployment }) => deployment === null).map(({ id }) => id));
    const sizes = await many.database.sql`
      select id, length(config::text) + length(detail::text) as size from deployments where id like 'grown-%'`;
    const kept = sizes.filter(({ id }) => known.has(id)).reduce((sum, { size }) => sum + Number(size), 0);
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(CHARACTERS);
  } finally {
    await many.stop();
  }
});

describe('what a read sends', () => {
  test('those who ask for a page in one turn share a statement, and the next finds what was written since', async () => {
    const { db, statements } = listening();
    const [id = ''] = ids;
    const [first = [], second, ...others] = await Promise.all([
      page(db),
      page(db),
      pageDeployments(db, { ...newest, limit: 1, fromEnd: false }),
      pageDeployments(db, { ...newest, filter: { scope: ['nobody'] }, limit: 10, fromEnd: false }),
    ]);
    expect(statements()).toBe(3);
    expect(second).toEqual(first);
    expect(others.map(({ length }) => length)).toEqual([1, 0]);
    const underWay = page(db);
    await command(serin, 'pauseDeployment', id);
    const after = page(db);
    const statusIn = (views: DeploymentView[]) => views.find(({ state }) => state.id === id)?.state.status;
    expect([statusIn(await underWay), statusIn(await after)]).toEqual(['RUNNING', 'PAUSED']);
    expect(statements()).toBe(5);
    await command(serin, 'resumeDeployment', id);
  });

  test('a page that is read again sends the rows that have changed', async () => {
    const { db, rows } = listening();
    const before = await page(db);
    await page(db);
    for (const row of await rows()) {
      expect(row).toMatchObject({ deployment: null, config: null, detail: null, CANARY: null, STABLE: '' });
    }
    const [id = ''] = ids;
    await serin.database.sql`update side_metrics set trades = 10 where deployment_id = ${id}`;
    const after = await page(db);
    for (const row of await rows()) {
      expect(row).toMatchObject({ deployment: null, detail: null });
      expect(row.CANARY === null).toBe(row.id !== id);
    }
    expect(after.find(({ state }) => state.id === id)?.metrics.CANARY?.trades).toBe(10);
    const others = (views: DeploymentView[]) => views.filter(({ state }) => state.id !== id).map(timeless);
    expect(others(after)).toEqual(others(before));
  });

  test('where only the stable side has reported', async () => {
    const { db, rows } = listening();
    const id = await running(serin, calm);
    await findDeployment(db, id);
    await report(serin, 'Stable', id, { pnlUsd: '120', trades: 90 });
    await findDeployment(db, id);
    await findDeployment(db, id);
    expect(await rows()).toMatchObject([{ deployment: null, CANARY: '', STABLE: null }]);
  });

  test('what a node has written itself is not sent to it', async () => {
    const { db, rows } = listening();
    const [id = ''] = ids;
    for (const name of ['pauseDeployment', 'resumeDeployment']) {
      await page(db);
      await command(serin, name, id);
      const view = await findDeployment(db, id);
      expect(view?.state.status).toBe(name === 'pauseDeployment' ? 'PAUSED' : 'RUNNING');
      expect(await rows()).toMatchObject([{ id, deployment: null, detail: null }]);
    }
  });

  test('deployments by their ids, also where one is asked for twice and one does not exist', async () => {
    const { db, rows } = listening();
    const [first = '', second = ''] = ids;
    await findDeployments(db, [first, second]);
    const found = await findDeployments(db, [first, 'nowhere', second, first]);
    expect(found.map(({ state }) => state.id).toSorted()).toEqual([first, second].toSorted());
    expect((await rows()).map(({ detail }) => detail)).toEqual([null, null]);
    expect(await findDeployment(db, 'nowhere')).toBeNull();
  });
});

describe('what a read finds', () => {
  /** What anyone may do to a deployment, through the API or in the database. */
  const actions: readonly ((id: string, db: PostgresJsDatabase) => Promise<unknown>)[] = [
    (id) => command(serin, 'pauseDeployment', id),
    (id) => command(serin, 'resumeDeployment', id),
    (id) => report(serin, 'Canary', id, { pnlUsd: '20', trades: 30 }),
    (id) => report(serin, 'Stable', id, { pnlUsd: '120', trades: 300 }),
    (id) =>
      serin.database.sql`update deployments set breaches = breaches || '{"maxDrawdown": 2}' where id = ${id}`,
    (id) =>
      serin.database.sql`update deployments set next_check_at = now() + interval '1 day' where id = ${id}`,
    (id) => serin.database.sql`delete from side_metrics where deployment_id = ${id} and side = 'STABLE'`,
    (id) => serin.database.sql`update strategies set require_approval = not require_approval
      where id = (select strategy_id from deployments where id = ${id})`,
    // Reads of its own changes by a transaction that is then rolled back: nobody else may see them.
    (id, db) =>
      db
        .transaction(async (tx) => {
          await tx.execute(`update deployments set created_by = 'first' where id = '${id}'`);
          expect((await findDeployment(tx, id))?.state.createdBy).toBe('first');
          await tx.execute(`update deployments set created_by = 'second' where id = '${id}'`);
          expect((await findDeployment(tx, id))?.state.createdBy).toBe('second');
          tx.rollback();
        })
        .catch(() => {}),
    (_, db) => db.execute('vacuum deployments, side_metrics'),
    (_, db) => db.execute('vacuum full deployments'),
    (_, db) => page(db),
    (id, db) => findDeployments(db, [id, ...ids]),
  ];

  test('is what a node finds that reads for the first time, whatever was done', async () => {
    const db = drizzle(serin.database.sql);
    const step = fc.record({ action: fc.nat(actions.length - 1), on: fc.nat(2) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        for (const { action, on } of steps) {
          const id = ids[on] ?? '';
          await actions[action]?.(id, db);
          const known = await findDeployment(db, id);
          expect(timeless(known)).toEqual(timeless(await readAnew(db, id)));
          const onPage = (await page(db)).find(({ state }) => state.id === id);
          expect(timeless(onPage)).toEqual(timeless(known));
        }
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test('is what the server has, also where one of its processes was killed and took a transaction along', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'serin-known-'));
    // Nothing is flushed to disk but what has committed: at a level above minimal a snapshot is, every 15 seconds.
    const settings = ['autovacuum=off', 'wal_writer_delay=10s', 'wal_level=minimal', 'max_wal_senders=0'];
    const own = await startEmbeddedPostgres({ dataDir: join(folder, 'data'), settings });
    // A client that has lost its connection waits longer and longer: a new one is asked each time.
    const withClient = async <T>(use: (db: PostgresJsDatabase) => Promise<T>): Promise<T> => {
      const sql = postgres(own.url, { max: 1, onnotice: () => {} });
      return use(drizzle(sql)).finally(() => sql.end({ timeout: 1 }));
    };
    const isBack = () =>
      withClient((db) => db.execute('select 1')).then(
        () => true,
        () => false,
      );
    try {
      const source = await startTestSerin({ databaseUrl: own.url });
      const id = await running(source);
      await source.stop();
      const write = (createdBy: string) =>
        sqlText`update deployments set created_by = ${createdBy} where id = ${id}
          returning xmin::text || ctid::text as version, pg_backend_pid() as process`;
      let lost: unknown;
      const killed = withClient((db) =>
        db.transaction(async (tx) => {
          const [row] = await tx.execute<{ version: string; process: number }>(write('lost'));
          expect((await findDeployment(tx, id))?.state.createdBy).toBe('lost');
          lost = row?.version;
          process.kill(row?.process ?? 0, 'SIGKILL');
          await tx.execute(sqlText`select pg_sleep(10)`);
        }),
      );
      await expect(killed).rejects.toThrow();
      await until(isBack);
      await withClient(async (db) => {
        const [row] = await db.execute(write('second'));
        expect(row?.version).toBe(lost);
        expect((await findDeployment(db, id))?.state.createdBy).toBe('second');
      });
    } finally {
      await own.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);

  test('is what the server has, also where a backup was restored and writes under the same numbers again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'serin-known-'));
    const [dataDir, backup] = [join(folder, 'data'), join(folder, 'backup')];
    const copy = (from: string, to: string) => promisify(execFile)('cp', ['-a', from, to]);
    const start = () => startEmbeddedPostgres({ dataDir, settings: ['autovacuum=off'] });
    let id = '';
    /** The next transaction of the server writes who created the deployment; then a node reads it. */
    const writeAndRead = async (createdBy: string) => {
      const own = await start();
      const sql = postgres(own.url, { max: 1, onnotice: () => {} });
      try {
        const [written] = await sql<{ version: string }[]>`update deployments set created_by = ${createdBy}
          where id = ${id} returning xmin::text || ctid::text as version`;
        const found = await findDeployment(drizzle(sql), id);
        return { createdBy: found?.state.createdBy, version: written?.version };
      } finally {
        await sql.end();
        await own.stop();
      }
    };
    try {
      const own = await start();
      const source = await startTestSerin({ databaseUrl: own.url });
      id = await running(source);
      await source.stop();
      await own.stop();
      await copy(dataDir, backup);
      const first = await writeAndRead('first');
      await rm(dataDir, { recursive: true });
      await copy(backup, dataDir);
      expect(await writeAndRead('second')).toEqual({ createdBy: 'second', version: first.version });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
});
