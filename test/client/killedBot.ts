/**
 * A bot that the kill test ends at any moment: it reports totals for the canary and single trades for the stable side, and
 * writes down what it sends and what was answered, each before it goes on.
 */
import { appendFileSync } from 'node:fs';
import { argv } from 'node:process';
import { connectSerin } from '../../src/client/index.ts';

const [, , url = '', deploymentId = '', run = '', diary = ''] = argv;
const note = (kind: string, value: unknown) =>
  appendFileSync(diary, `${JSON.stringify({ run, kind, value })}\n`);

const serin = connectSerin({ url });
const [canary, stable] = await Promise.all([
  serin.side(deploymentId, 'CANARY'),
  serin.side(deploymentId, 'STABLE'),
]);
for (const side of [canary, stable]) {
  void (async () => {
    for await (const allocation of side.allocations()) {
      const { success } = await allocation.acknowledge();
      if (success) note('acknowledged', { side: side.side, number: allocation.number });
    }
  })();
}
const startedAt = new Date().toISOString();
for (let trades = 1; !canary.ended; trades += 1) {
  const id = `${run}-${trades}`;
  note('sent', { trades, id });
  const [report, recorded] = await Promise.all([
    canary.report({ trades, pnlUsd: trades }),
    stable.recordTrades([{ id, at: startedAt, pnlUsd: '1' }]).catch(() => null),
  ]);
  if (report.success) note('reported', trades);
  if (recorded?.success) note('recorded', id);
}
