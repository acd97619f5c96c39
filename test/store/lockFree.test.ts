/** The order of the log: a transaction that locks several deployments writes behind all that was written before. */

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { lockFreeDeployments } from '../../src/store/deployments.ts';
import { command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
let database: ReturnType<typeof openDatabase>;
beforeAll(async () => {
  serin = await startTestSerin();
  database = openDatabase({ url: serin.database.url });
});
afterAll(async () => {
  await database.close();
  await serin.stop();
});

test('what is locked by others, and what was written by a younger transaction, counts as taken', async () => {
  const [free, held, overtaken] = [await running(serin), await running(serin), await running(serin)];
  await database.db.transaction(async (tx) => {
    // As if it had locked a first row, and came to the next ones late.
    await tx.execute(sql`select pg_current_xact_id()`);
    await command(serin, 'pauseDeployment', overtaken);
    await serin.database.sql.begin(async (other) => {
      await other`select 1 from deployments where id = ${held} for update`;
      const found = await lockFreeDeployments(tx, [held, overtaken, free, 'nowhere']);
      expect([...found.free.keys()]).toEqual([free]);
      expect(found.free.get(free)?.state.status).toBe('RUNNING');
      expect(found.taken).toEqual(new Set([held, overtaken]));
    });
  });
  await database.db.transaction(async (tx) => {
    const found = await lockFreeDeployments(tx, [held, overtaken, free]);
    expect([...found.free.keys()].toSorted()).toEqual([free, held, overtaken].toSorted());
    expect(found.taken.size).toBe(0);
  });
});
