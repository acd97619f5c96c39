/** The statements that read and write a batch of reports, straight through the driver: how fast PostgreSQL takes them. */
import { applyReport } from '../../src/core/metrics/sideMetrics.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { lockSides, writeSides } from '../../src/store/deployments/sideMetrics.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { sayReady } from '../harness/child.ts';

const [databaseUrl = '', connections = '8', size = '100'] = process.argv.slice(2);
const { db } = openDatabase({ url: databaseUrl, poolSize: Number(connections) });

/** Answers reports a second. */
async function run(seconds: number): Promise<number> {
  let written = 0;
  const began = performance.now();
  const writer = async (connection: number) => {
    const keys = Array.from({ length: Number(size) }, (_, index) => ({
      deploymentId: `bench-${connection * Number(size) + index}`,
      side: 'CANARY' as const,
    }));
    const report = { pnlUsd: decimal('12.5'), trades: 50, errors: 1, drawdown: decimal('0.01') };
    while (performance.now() - began < seconds * 1000) {
      const rows = (await lockSides(db, keys)).map(({ deploymentId, side, version, now }) => ({
        deploymentId,
        side,
        version,
        metrics: applyReport(null, report, now),
        run: null,
        reporter: { name: 'bench', subject: null },
      }));
      written += (await writeSides(db, rows)).length;
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
