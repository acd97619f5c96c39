/** A use case in its transaction, and a batch that fails. */
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runBatch } from '../../src/app/execution/batch.ts';
import { createCommandQuota } from '../../src/app/execution/commandQuota.ts';
import { createDeploymentQueue } from '../../src/app/execution/deploymentQueue.ts';
import type { BatchFailure, ExecutionContext } from '../../src/app/execution/executionContext.ts';
import { createRefusalAudit } from '../../src/app/execution/refusalAudit.ts';
import { createRefusalQuota } from '../../src/app/execution/refusalQuota.ts';
import {
  CallerTimedOut,
  REQUEST_TIMEOUT_MS,
  rollback,
  transaction,
} from '../../src/app/execution/transaction.ts';
import { FORM } from '../../src/core/lifecycle/forms.ts';
import type { NewAuditRecord } from '../../src/store/access/audit.ts';
import { createUnitOfWork, flush } from '../../src/store/deployments/unitOfWork.ts';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { createNotifier } from '../../src/store/postgres/notifier.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';

let own: TestDatabase;
let database: Database;
let app: ExecutionContext;
const failures: BatchFailure[] = [];
beforeAll(async () => {
  own = await freshDatabase();
  database = openDatabase({ url: own.url });
  await own.sql`create table written (what text)`;
  app = {
    db: database.db,
    notifier: createNotifier(own.sql),
    form: () => FORM,
    inDeploymentOrder: createDeploymentQueue(),
    refusalQuota: createRefusalQuota(),
    commandQuota: createCommandQuota(),
    refusalAudit: createRefusalAudit(),
    onBatchFailure: (failure) => void failures.push(failure),
  };
});
afterAll(async () => {
  await database.close();
  await own.sql.end();
});

const written = async (what: string) => (await own.sql`select 1 from written where what = ${what}`).length;

/** Has PostgreSQL abort the transaction as it does when another one is in the way. */
const abort = (code: string) =>
  sql.raw(`do $$ begin raise exception 'in the way' using errcode = '${code}'; end $$`);

/** A unit of work with one answer to store. */
function unitWith(key: string) {
  const unit = createUnitOfWork();
  unit.answers.push({ actor: 'ada', formerly: { name: 'ada', since: 0 }, key, request: 'r', answer: {} });
  return unit;
}

describe('a transaction', () => {
  test('whose caller has timed out by the end of its work is not committed', async () => {
    const slow = transaction(
      app,
      async (tx) => {
        await tx.execute(sql`select pg_sleep(0.5)`);
        await tx.execute(sql`insert into written values ('late')`);
      },
      performance.now() - REQUEST_TIMEOUT_MS + 250,
    );
    await expect(slow).rejects.toThrow(CallerTimedOut);
    expect(await written('late')).toBe(0);
  });

  test('of which one part cannot be written at all is rolled back, with what was on its way', async () => {
    const unit = unitWith('unwritten');
    unit.audit.push({
      actor: 'ada',
      action: 'DEPLOY',
      subject: 's',
      strategies: null,
      details: { number: 1n },
    } as unknown as NewAuditRecord);
    const work = transaction(app, async (tx) => {
      await tx.execute(sql`insert into written values ('unwritten')`);
      await flush(tx, unit);
    });
    await expect(work).rejects.toThrow(/BigInt/);
    expect(await written('unwritten')).toBe(0);
    expect(await own.sql`select from idempotency_keys where key = 'unwritten'`).toHaveLength(0);
  });

  test('is run again when a key was taken, also if it only notices at a later statement', async () => {
    await transaction(app, (tx) => flush(tx, unitWith('taken')));
    for (const later of [false, true]) {
      let attempts = 0;
      await transaction(app, async (tx) => {
        attempts += 1;
        if (attempts === 1) await flush(tx, unitWith('taken'));
        if (later) await tx.execute(sql`select 1 as one`);
      });
      expect(attempts).toBe(2);
    }
  });

  test.each(['40001', '40P01'])(
    'that PostgreSQL aborts with %s is run again, and writes once',
    async (code) => {
      let attempts = 0;
      const answer = await transaction(app, async (tx) => {
        attempts += 1;
        await tx.execute(sql`insert into written values (${code})`);
        if (attempts < 3) await tx.execute(abort(code));
        return attempts;
      });
      expect(answer).toBe(3);
      expect(await written(code)).toBe(1);
    },
  );

  test('is given up after four attempts, and at once after an error of another kind', async () => {
    for (const [code, expected] of [
      ['40001', 4],
      ['23514', 1],
    ] as const) {
      let attempts = 0;
      await expect(
        transaction(app, async (tx) => {
          attempts += 1;
          await tx.execute(abort(code));
        }),
      ).rejects.toThrow();
      expect(attempts).toBe(expected);
    }
  });

  test('does nothing once its caller has timed out', async () => {
    const late = performance.now() - REQUEST_TIMEOUT_MS - 1;
    const attempt = transaction(app, (tx) => tx.execute(sql`insert into written values ('late')`), late);
    await expect(attempt).rejects.toThrow(CallerTimedOut);
    expect(await written('late')).toBe(0);
  });

  test('that refuses is rolled back and answers', async () => {
    const answer = await transaction<string>(app, async (tx) => {
      await tx.execute(sql`insert into written values ('refused')`);
      return rollback('no');
    });
    expect(answer).toBe('no');
    expect(await written('refused')).toBe(0);
  });
});

describe('a batch that fails', () => {
  const run = (error: unknown) =>
    runBatch(app, 'commands', ['a', 'b'], async () => {
      throw error;
    });

  test.each([new Error('one item is faulty'), new CallerTimedOut()])(
    'with %s is reported, and its items run alone',
    async (error) => {
      failures.length = 0;
      expect((await run(error)).size).toBe(0);
      expect(failures).toEqual([{ kind: 'commands', size: 2, error }]);
    },
  );

  test('because the database is away fails all of its items', async () => {
    failures.length = 0;
    const away = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' });
    await expect(run(away)).rejects.toBe(away);
    expect(failures).toEqual([]);
  });
});
