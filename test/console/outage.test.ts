/** What the console shows after the database was away, while the server and the connection to it stayed. */
import type { WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { command } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { begin } from './stage.ts';
import { browser, closeVisitors, missing, open, PATIENCE_MS } from './visitors.ts';

/** Ends every connection to the database and lets nobody in until the callback has ended. */
async function withoutDatabase({ database: { sql } }: TestSerin, meanwhile: () => Promise<unknown>) {
  const own = await sql.reserve();
  try {
    await own`update pg_database set datallowconn = false where datname = current_database()`;
    await own`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
    await meanwhile();
  } finally {
    await own`update pg_database set datallowconn = true where datname = current_database()`;
    own.release();
  }
}

describe.skipIf(browser === null)(
  `the console and its database ${missing ?? ''}`,
  { timeout: PATIENCE_MS },
  () => {
    let serin: TestSerin;

    beforeAll(async () => {
      serin = await startTestSerin({ timeScale: 1 });
      await begin(serin, [
        { id: 'dep_a', strategyId: 'eth-a' },
        { id: 'dep_b', strategyId: 'eth-b' },
        { id: 'dep_c', strategyId: 'eth-c' },
      ]);
    }, PATIENCE_MS + 60_000);
    closeVisitors();
    afterAll(() => serin?.stop());

    test('what ended with the database shows as not connected, and all returns when it is back', async () => {
      const { page } = await open(serin, '/');
      const waits = page.locator('.totals > div', { hasText: 'wait for a person' }).locator('dd');
      await until(async () => (await waits.textContent()) === '0');
      // The overview is read every five seconds, and ends when it cannot be.
      await withoutDatabase(serin, () => page.locator('.lamp-stale, .lamp-reconnecting').waitFor());
      await page.locator('.lamp-live').waitFor();
      await command(serin, 'pauseDeployment', 'dep_a');
      await page.locator('.card').getByText('Paused').first().waitFor();
      const onTrial = page.locator('.totals > div', { hasText: 'on trial' }).locator('dd');
      await serin.ask('mutation { rollbackCanary(input: { deploymentId: "dep_a" }) { success } }');
      await until(async () => (await onTrial.textContent()) === '$20,000');
    });

    test('the timeline has what happened while the connection was lost', async () => {
      const { page } = await open(serin, '/deployments/dep_b');
      const timeline = page.getByRole('region', { name: 'Timeline' });
      let isAway = false;
      const sockets: WebSocketRoute[] = [];
      await page.routeWebSocket(/graphql/, (socket) => {
        if (isAway) return void socket.close({ code: 1012 });
        socket.connectToServer();
        sockets.push(socket);
      });
      await page.reload();
      await timeline.getByText('Canary started', { exact: true }).waitFor();
      await page.locator('.lamp-live').waitFor();
      isAway = true;
      for (const socket of sockets) await socket.close({ code: 1012 });
      await page.locator('.lamp-reconnecting, .lamp-stale').waitFor();
      await command(serin, 'pauseDeployment', 'dep_b', { reason: 'missed' });
      isAway = false;
      await page.locator('.deployment-head').getByText('Paused').waitFor();
      await timeline.getByText(/missed/).waitFor();
    });

    test('a deployment shows the state that its database was set back to', async () => {
      const { sql } = serin.database;
      await sql`create table earlier as select * from deployments where id = 'dep_c'`;
      const { page } = await open(serin, '/deployments/dep_c');
      const head = page.locator('.deployment-head');
      await head.getByText('Running').waitFor();
      await command(serin, 'pauseDeployment', 'dep_c');
      await head.getByText('Paused').waitFor();
      await serin.restart({ timeScale: 1 }, async () => {
        await sql`update deployments set status = earlier.status, revision = earlier.revision,
        event_count = earlier.event_count, detail = earlier.detail, next_check_at = earlier.next_check_at
        from earlier where deployments.id = earlier.id`;
        await sql`delete from events using earlier where deployment_id = earlier.id and no > earlier.event_count`;
      });
      await head.getByText('Running').waitFor();
    });
  },
);
