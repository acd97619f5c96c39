/** Transactions of the driver: nothing runs outside of its transaction, and a failure leaves a connection fit for others. */
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';

let stored: TestDatabase;
let database: Database;
beforeAll(async () => {
  stored = await freshDatabase();
  await stored.sql`create table kept (no int primary key, xid xid8 not null default pg_current_xact_id())`;
  database = openDatabase({ url: stored.url, poolSize: 2 });
});
afterEach(() => stored.sql`truncate kept`);
afterAll(async () => {
  await database.close();
  await stored.drop();
});

const count = async () => (await stored.sql`select from kept`).length;

type Transaction = postgres.TransactionSql;
/** An option that the driver has and does not declare. */
const SIMPLE = { simple: true } as postgres.UnsafeQueryOptions;

/** Ways to send a first statement: each travels in another form. */
const FIRST: Readonly<Record<string, (tx: Transaction) => PromiseLike<unknown>>> = {
  'with parameters, for the first time': (tx) => tx`insert into kept values (${1}, default)`,
  'with parameters, again': (tx) => tx`insert into kept values (${1}, default)`,
  'without parameters': (tx) => tx`insert into kept values (1, default)`,
  'in simple form': (tx) => tx.unsafe('insert into kept values (1, default)', [], SIMPLE),
  'several in simple form': (tx) => tx.unsafe('select 1; insert into kept values (1, default)', [], SIMPLE),
  'described first, and not prepared': (tx) =>
    tx.unsafe('insert into kept values ($1, default)', [1], { prepare: false }),
};

describe.each(Object.entries(FIRST))('a first statement %s', (_, first) => {
  test('is part of its transaction: committed with it', async () => {
    const xids = await database.client.begin(async (tx) => {
      await first(tx);
      await tx`insert into kept values (2, default)`;
      return tx`select distinct xid::text from kept`;
    });
    expect(xids).toHaveLength(1);
    expect(await count()).toBe(2);
  });

  test('and rolled back with it', async () => {
    const work = database.client.begin(async (tx) => {
      await first(tx);
      expect(await tx`select from kept`).toHaveLength(1);
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await count()).toBe(0);
  });

  test('does not run, nor do those behind it, when the transaction cannot begin', async () => {
    const answers: unknown[] = [];
    const work = database.client.begin('isolation level nonsense', async (tx) => {
      const sent = [first(tx), tx`insert into kept values (3, default)`, first(tx)];
      answers.push(...(await Promise.allSettled(sent)));
      await tx`insert into kept values (4, default)`;
    });
    await expect(work).rejects.toMatchObject({ code: '42601' });
    expect(answers.every((answer) => (answer as PromiseSettledResult<unknown>).status === 'rejected')).toBe(
      true,
    );
    // Both connections of the pool are fit for others.
    await Promise.all([1, 2, 3].map(() => database.client.begin((tx) => tx`select pg_sleep(0.01)`)));
    expect(await count()).toBe(0);
  });

  test('that fails ends the transaction, and the connection goes on', async () => {
    await stored.sql`insert into kept values (1, default)`;
    await expect(database.client.begin((tx) => first(tx))).rejects.toMatchObject({ code: '23505' });
    expect(await database.client.begin((tx) => tx`select count(*)::int as rows from kept`)).toMatchObject([
      { rows: 1 },
    ]);
  });
});

test('a first statement that cannot be sent fails alone, and the transaction is rolled back', async () => {
  const undefinedValue = [undefined] as unknown as number[];
  const others = Array.from({ length: 10 }, (_, no) => database.client`select ${no}::int as no`);
  const work = database.client.begin((tx) =>
    tx.unsafe('insert into kept values ($1, default)', undefinedValue),
  );
  await expect(work).rejects.toMatchObject({ code: 'UNDEFINED_VALUE' });
  expect(await Promise.all(others)).toHaveLength(10);
  expect(await database.client.begin((tx) => tx`select 1 as one`)).toMatchObject([{ one: 1 }]);
});

test('a transaction that cannot begin says so also when its first statement comes late', async () => {
  const work = database.client.begin('isolation level nonsense', async (tx) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    await tx`insert into kept values (${1}, default)`;
  });
  await expect(work).rejects.toMatchObject({ code: '42601' });
  expect(await count()).toBe(0);
  expect(await database.client.begin((tx) => tx`select 1 as one`)).toMatchObject([{ one: 1 }]);
});

test('a transaction without a statement ends', async () => {
  expect(await database.client.begin(async () => 'nothing')).toBe('nothing');
  await expect(database.client.begin(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('a first statement that comes late holds nobody else up', async () => {
  let go = () => {};
  const late = database.client.begin(async (tx) => {
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    await tx`insert into kept values (1, default)`;
  });
  for (let no = 0; no < 20; no += 1)
    expect(await database.client`select ${no}::int as no`).toMatchObject([{ no }]);
  go();
  await late;
  expect(await count()).toBe(1);
});

test('crowds of transactions and single statements on few connections do not mix', async () => {
  const inTransaction = Array.from({ length: 300 }, (_, no) =>
    database.client.begin(async (tx) => {
      const [rows] = await Promise.all([
        tx<{ xid: string }[]>`insert into kept values (${no}, default) returning xid::text`,
        tx`select ${no}`,
      ]);
      const [later] = await tx<{ xid: string }[]>`select pg_current_xact_id()::text as xid`;
      expect(later?.xid).toBe(rows[0]?.xid);
      return later?.xid ?? '';
    }),
  );
  const alone = Array.from({ length: 300 }, async () => {
    const [row] = await database.client<{ xid: string }[]>`select pg_current_xact_id()::text as xid`;
    return row?.xid ?? '';
  });
  const xids = await Promise.all([...inTransaction, ...alone]);
  expect(new Set(xids).size).toBe(600);
});

test('a connection that is lost under the first statement fails the transaction, and the next one has another', async () => {
  const work = database.client.begin(async (tx) => {
    await tx`select pg_terminate_backend(pg_backend_pid())`;
  });
  await expect(work).rejects.toThrow();
  // Both connections of the pool: the one that takes the place of the lost one has nothing of its error.
  const next = [1, 2, 3, 4].map((no) => database.client.begin((tx) => tx`select ${no}::int as no`));
  expect((await Promise.all(next)).flat()).toMatchObject([{ no: 1 }, { no: 2 }, { no: 3 }, { no: 4 }]);
});

describe('reads that follow BEGIN before its answer', () => {
  const READ = 'select $1::int as no, count(*)::int as rows from kept';

  /** A first time of a statement on a connection is described first: afterwards it is sent at once. */
  const warm = () => Promise.all([1, 2, 3].map(() => database.client.begin((tx) => tx.unsafe(READ, [1]))));

  test('are part of the transaction, and everything runs in its order', async () => {
    await warm();
    const [before, inserted, after, later] = await database.client.begin((tx) =>
      Promise.all([
        tx.unsafe(READ, [1]),
        tx`insert into kept values (${1}, default) returning xid::text`,
        tx.unsafe(READ, [2]),
        tx`select pg_current_xact_id()::text as xid`,
      ]),
    );
    expect([...before, ...after]).toMatchObject([
      { no: 1, rows: 0 },
      { no: 2, rows: 1 },
    ]);
    expect(later).toMatchObject([{ xid: inserted[0]?.xid }]);
  });

  test('lead to nothing when the transaction cannot begin', async () => {
    await warm();
    const later: unknown[] = [];
    const work = database.client.begin('isolation level nonsense', async (tx) => {
      await tx.unsafe(READ, [1]);
      later.push(...(await Promise.allSettled([tx`insert into kept values (${1}, default)`])));
      return 'done';
    });
    await expect(work).rejects.toMatchObject({ code: '42601' });
    await Promise.all([1, 2, 3].map(() => database.client.begin((tx) => tx`select pg_sleep(0.01)`)));
    expect(later).toMatchObject([{ status: 'rejected', reason: { code: '42601' } }]);
    expect(await count()).toBe(0);
  });
});

describe('statements that leave together', () => {
  const insert = (tx: Transaction, no: number) =>
    tx.unsafe('insert into kept values ($1, default) returning no', [no]);
  beforeAll(async () => {
    await Promise.all([1, 2, 3].map((no) => database.client.begin((tx) => insert(tx, no))));
    await stored.sql`truncate kept`;
  });
  beforeEach(() => stored.sql`insert into kept values (7, default)`);

  test('get their answers, each its own', async () => {
    const answers = await database.client.begin((tx) =>
      Promise.all([
        insert(tx, 1),
        tx.unsafe('select no from kept order by no'),
        tx.unsafe(''),
        tx.unsafe('update kept set no = no + 10'),
        insert(tx, 2),
      ]),
    );
    expect(answers.map((rows) => rows.map(({ no }) => no))).toEqual([[1], [1, 7], [], [], [2]]);
    expect(answers.map(({ count: rows }) => rows)).toEqual([1, 2, null, 2, 1]);
    expect(await count()).toBe(3);
  });

  test('are skipped after one that fails, which is the reason of the transaction', async () => {
    const outcomes: PromiseSettledResult<unknown>[] = [];
    const work = database.client.begin(async (tx) => {
      const sent = [insert(tx, 1), insert(tx, 7), insert(tx, 2), tx.unsafe('select 1')];
      outcomes.push(...(await Promise.allSettled(sent)));
    });
    await expect(work).rejects.toMatchObject({ code: '23505' });
    const skipped = { status: 'rejected', reason: { code: '25P02' } };
    expect(outcomes).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: '23505' } },
      skipped,
      skipped,
    ]);
    expect(await count()).toBe(1);
  });

  test('are rolled back together with COMMIT, and the connection is fit for others', async () => {
    for (const _ of [1, 2, 3]) {
      const work = database.client.begin(async (tx) => {
        await tx`select 1`;
        for (const no of [1, 7, 2]) insert(tx, no).catch(() => {});
      });
      await expect(work).rejects.toMatchObject({ code: '23505' });
    }
    expect(await count()).toBe(1);
    const xids = await Promise.all(
      [1, 2, 3].map(() => database.client`select pg_current_xact_id()::text as xid`),
    );
    expect(new Set(xids.map(([row]) => row?.xid)).size).toBe(3);
  });

  test('leave a savepoint what it is: what fails behind it is undone alone', async () => {
    await database.client.begin(async (tx) => {
      const first = insert(tx, 1);
      const second = tx.savepoint((inner) =>
        Promise.all([insert(inner, 2), insert(inner, 7), insert(inner, 3)]),
      );
      await expect(second).rejects.toMatchObject({ code: '23505' });
      await Promise.all([first, insert(tx, 4), insert(tx, 5)]);
    });
    expect((await stored.sql`select no from kept order by no`).map(({ no }) => no)).toEqual([1, 4, 5, 7]);
  });
});

test('a write in a part of a statement is no read: it waits for BEGIN', async () => {
  const write = (tx: Transaction) =>
    tx`with written as (${tx`insert into kept values (${1}, default) returning no`}) select no from written`;
  expect(await database.client.begin(write)).toMatchObject([{ no: 1 }]);
  expect(await database.client.begin(async (tx) => (await tx`delete from kept`).count)).toBe(1);
  await expect(database.client.begin('isolation level nonsense', write)).rejects.toMatchObject({
    code: '42601',
  });
  await Promise.all([1, 2, 3].map(() => database.client.begin((tx) => tx`select pg_sleep(0.01)`)));
  expect(await count()).toBe(0);
});

describe('a commit that follows statements without their results', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test('commits them', async () => {
    const inFlight: PromiseLike<unknown>[] = [];
    await database.client.begin(async (tx) => {
      inFlight.push(tx`insert into kept values (${1}, default)`.execute());
      await turn();
    });
    await Promise.all(inFlight);
    expect(await count()).toBe(1);
  });

  test('commits nothing when one of them fails, and says why', async () => {
    await stored.sql`insert into kept values (7, default)`;
    const work = database.client.begin(async (tx) => {
      tx`insert into kept values (${1}, default)`.execute();
      tx`insert into kept values (${7}, default)`.catch(() => {});
      await turn();
    });
    await expect(work).rejects.toMatchObject({ code: '23505' });
    expect(await count()).toBe(1);
    expect(await database.client.begin((tx) => tx`select 1 as one`)).toMatchObject([{ one: 1 }]);
  });

  test('commits nothing when one turns out not to be sendable, in whatever line it stands', async () => {
    const undefinedValue = [undefined] as unknown as number[];
    const work = database.client.begin(async (tx) => {
      await tx`select 1`;
      // Described first, so that the next one, and COMMIT, would stand in line behind it.
      tx.unsafe(`insert into kept values ($1, default) -- ${Math.random()}`, [1]).catch(() => {});
      tx.unsafe('insert into kept values ($1, default)', undefinedValue).catch(() => {});
      await turn();
    });
    await expect(work).rejects.toMatchObject({ code: 'UNDEFINED_VALUE' });
    const unspeakable = { toString: () => expect.fail('it cannot be written') } as unknown as string;
    const bind = database.client.begin(async (tx) => {
      await tx`insert into kept values (${1}, default)`;
      tx.unsafe('insert into kept select $1::int where $2::text is not null', [2, unspeakable]).catch(
        () => {},
      );
      await turn();
    });
    await expect(bind).rejects.toThrow(/it cannot be written/);
    expect(await count()).toBe(0);
  });

  test('commits nothing when the plan of one is outdated, and runs it nowhere else', async () => {
    const insert = (tx: Transaction, no: number) =>
      tx.unsafe('insert into kept values ($1) returning *', [no]);
    await Promise.all([1, 2, 3, 4].map((no) => database.client.begin((tx) => insert(tx, no))));
    await stored.sql`truncate kept`;
    await stored.sql`alter table kept add column added int`;
    try {
      const outdated = [1, 2].map((no) =>
        database.client.begin(async (tx) => {
          insert(tx, no).catch(() => {});
          tx`insert into kept (no) values (${no + 10})`.catch(() => {});
          await turn();
        }),
      );
      const outcomes = await Promise.allSettled(outdated);
      // Its connection has planned it anew by now.
      await database.client.begin((tx) => insert(tx, 5));
      const refused = outcomes.filter(({ status }) => status === 'rejected');
      expect(refused).toMatchObject(refused.map(() => ({ reason: { code: '0A000' } })));
      expect(refused.length).toBeGreaterThan(0);
      expect(await count()).toBe(1 + 2 * (outcomes.length - refused.length));
    } finally {
      await stored.sql`alter table kept drop column added`;
    }
  });

  test('is the last: a statement after it does not run', async () => {
    const kept: { tx: Transaction | null } = { tx: null };
    await database.client.begin(async (tx) => {
      kept.tx = tx;
      await tx`insert into kept values (${1}, default)`;
    });
    await expect(kept.tx?.unsafe('insert into kept values (2, default)')).rejects.toMatchObject({
      code: 'TRANSACTION_ENDED',
    });
    expect(await count()).toBe(1);
  });
});

test('a connection that breaks with an error under a transaction leaves nothing to its successor', {
  timeout: 10_000,
}, async () => {
  const small = openDatabase({ url: stored.url, poolSize: 1 });
  const work = small.client.begin(async (tx) => {
    await tx`insert into kept values (${1}, default)`;
    const sleeping = tx`select pg_sleep(1)`.execute();
    // Its ROLLBACK is asked for between the error of the socket and its end.
    setTimeout(() => small.sockets.giveUp(new Error('the network is gone')), 100);
    await sleeping;
  });
  await expect(work).rejects.toThrow();
  for (const no of [1, 2, 3]) expect(await small.client`select ${no}::int as no`).toMatchObject([{ no }]);
  expect(await count()).toBe(0);
  await small.close();
});

test('a connection whose prepared statements are gone ends its transaction all the same', async () => {
  const small = openDatabase({ url: stored.url, poolSize: 1 });
  try {
    for (const outcome of ['committed', 'rolled back']) {
      await small.client.begin((tx) => tx.unsafe(`select '${outcome}'`));
      await small.client.unsafe('deallocate all', [], SIMPLE);
      const work = small.client.begin(async (tx) => {
        await tx.unsafe(`insert into kept values (${outcome.length}, default)`);
        if (outcome === 'rolled back') throw new Error('no');
      });
      if (outcome === 'rolled back') await expect(work).rejects.toThrow('no');
      else await work;
    }
    expect(await count()).toBe(1);
  } finally {
    await small.close();
  }
});

test('a statement that cannot be sent takes no other of the same connection with it', async () => {
  const undefinedValue = [undefined] as unknown as number[];
  const work = database.client.begin(async (tx) => {
    const read = tx`select ${1}::int as no`.execute();
    const refused = tx.unsafe('select $1', undefinedValue).catch((error: unknown) => error);
    expect(await tx`select ${2}::int as no`).toMatchObject([{ no: 2 }]);
    expect(await read).toMatchObject([{ no: 1 }]);
    expect(await refused).toMatchObject({ code: 'UNDEFINED_VALUE' });
  });
  // A transaction with a statement that failed is never committed.
  await expect(work).rejects.toMatchObject({ code: 'UNDEFINED_VALUE' });
  const alone = await Promise.allSettled(
    Array.from({ length: 30 }, (_, no) =>
      no % 3 === 1
        ? database.client.unsafe('select $1::int as no', undefinedValue)
        : database.client<{ no: number }[]>`select ${no}::int as no`,
    ),
  );
  for (const [no, outcome] of alone.entries()) {
    if (no % 3 === 1)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNDEFINED_VALUE' } });
    else expect(outcome).toMatchObject({ status: 'fulfilled', value: [{ no }] });
  }
});

test('a statement whose plan is outdated is sent again where it is alone, and answers stay with their statements', async () => {
  const small = openDatabase({ url: stored.url, poolSize: 1 });
  try {
    const all = (no: number) =>
      small.client.unsafe<{ no: number }[]>('select *, $1::int as no from once', [no]);
    await stored.sql`create table once (what text)`;
    await stored.sql`insert into once values ('first')`;
    await all(0);
    await stored.sql`alter table once add column more int`;
    expect(await all(1)).toMatchObject([{ what: 'first', more: null, no: 1 }]);
    await stored.sql`alter table once add column yet int`;
    const crowd = await Promise.allSettled(Array.from({ length: 20 }, (_, no) => all(no)));
    for (const [no, outcome] of crowd.entries()) {
      if (outcome.status === 'fulfilled') expect(outcome.value).toMatchObject([{ no }]);
      else expect(outcome.reason).toMatchObject({ code: '0A000' });
    }
    expect(await all(3)).toMatchObject([{ no: 3, yet: null }]);
  } finally {
    await small.close();
  }
});

describe('while statements are cancelled and connections ended', () => {
  /** Ends or cancels what runs, until stopped. */
  function attack(ends: boolean): () => Promise<void> {
    let over = false;
    const attacking = (async () => {
      for (let turn = 0; !over; turn += 1) {
        await sleep((turn * 7) % 6);
        const weapon = ends && turn % 5 === 0 ? 'pg_terminate_backend' : 'pg_cancel_backend';
        await stored.sql.unsafe(`select ${weapon}(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' order by random() limit 1`);
      }
    })();
    return () => {
      over = true;
      return attacking;
    };
  }

  /** Lost with its connection: it may have been committed. */
  const isLost = (error: unknown) => /CONNECTION|ECONN|EPIPE|57P01/.test(String(Object(error).code));

  test.each([
    ['cancelled', false],
    ['ended', true],
  ])('%s: all of a transaction or nothing, and each answer to its statement', async (_, ends) => {
    await stored.sql`create table crowd (tx int, no int, xid xid8 not null default pg_current_xact_id(), primary key (tx, no))`;
    const pool = openDatabase({ url: stored.url, poolSize: 3 });
    const outcomes = new Map<number, { rows: number; done: boolean | null }>();
    /** Writes without waiting for the results; every seventh transaction has a write that fails. */
    async function write(tx: number): Promise<void> {
      const rows = tx % 20 === 0 ? 130 : 1 + (tx % 4);
      const fails = tx % 7 === 0;
      const what = tx % 10 === 0 ? 'x'.repeat(30_000) : '';
      const inFlight: PromiseLike<unknown>[] = [];
      try {
        await pool.client.begin(async (sql) => {
          const [read] = await sql.unsafe('select $1::int as tx, pg_current_xact_id()::text as xid', [tx]);
          expect(read?.tx).toBe(tx);
          for (let no = 0; no < (fails ? rows + 1 : rows); no += 1) {
            const inserted = sql`insert into crowd (tx, no) select ${tx}, ${no % rows} where ${what}::text is not null
              returning tx, no, xid::text`;
            inFlight.push(
              inserted.then((found) => expect(found).toEqual([{ tx, no: no % rows, xid: read?.xid }])),
            );
          }
          for (const each of inFlight) each.then(null, () => {});
          await new Promise((resolve) => setImmediate(resolve));
        });
        await Promise.all(inFlight);
        outcomes.set(tx, { rows, done: true });
        expect(fails).toBe(false);
      } catch (error) {
        if (error instanceof Error && error.name === 'AssertionError') throw error;
        outcomes.set(tx, { rows, done: isLost(error) ? null : false });
      }
    }
    async function read(no: number): Promise<void> {
      const found = await pool.client`select ${no}::int as no`.catch(() => null);
      if (found) expect(found).toEqual([{ no }]);
    }
    const stop = attack(ends);
    let next = 0;
    const until = performance.now() + 3000;
    const worker = async () => {
      while (performance.now() < until) {
        next += 1;
        await (next % 3 === 0 ? read(next) : write(next));
      }
    };
    await Promise.all(Array.from({ length: 12 }, worker));
    await stop();
    const found =
      await stored.sql`select tx, count(*)::int as rows, count(distinct xid)::int as xids from crowd group by tx`;
    const rowsOf = new Map(found.map(({ tx, rows }) => [tx, rows]));
    for (const [tx, { rows, done }] of outcomes) {
      if (done !== null) expect([tx, rowsOf.get(tx) ?? 0]).toEqual([tx, done ? rows : 0]);
      else expect([undefined, rows]).toContain(rowsOf.get(tx));
    }
    expect(found.filter(({ xids }) => xids !== 1)).toEqual([]);
    expect([...outcomes.values()].filter(({ done }) => done).length).toBeGreaterThan(0);
    await pool.close();
    await stored.sql`drop table crowd`;
  });
});
