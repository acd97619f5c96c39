/** The statement that writes a batch of reports, straight through the driver: how fast the database takes them. */
import { decimal } from '../../src/core/values/decimal.ts';
import { upsertReports } from '../../src/store/deployments/sideMetrics.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { sayReady } from '../harness/child.ts';

const [databaseUrl = '', connections = '8', size = '100'] = process.argv.slice(2);
const { db } = openDatabase({ url: databaseUrl, poolSize: Number(connections) });

/** Answers reports a second. */
async function run(seconds: number): Promise<number> {
  let written = 0;
  const began = performance.now();
  const writer = async (connection: number) => {
    const reports = Array.from({ length: Number(size) }, (_, index) => ({
      deploymentId: `bench-${connection * Number(size) + index}`,
      side: 'CANARY' as const,
      report: { pnlUsd: decimal('12.5'), trades: 50, errors: 1, drawdown: decimal('0.01') },
    }));
    while (performance.now() - began < seconds * 1000) {
      written += (await upsertReports(db, reports)).length;
    }
  };
  await Promise.all(Array.from({ length: Number(connections) }, (_, connection) => writer(connection)));
  return written / ((performance.now() - began) / 1000);
}

process.on('message', (seconds) => {
  run(Number(seconds)).then(
    (rate) => process.send?.(rate),
    (error: unknown) => process.send?.(String(error)),
  );
});
process.on('SIGTERM', () => process.exit());
sayReady('ready');
