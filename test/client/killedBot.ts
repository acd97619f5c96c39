/**
 * A bot that the kill test ends at any moment: it reports totals for the canary and single trades for the stable side,
 * acknowledges capital, and follows the timeline. It writes down what it sends and what was answered, each before it
 * continues. `killed_bot.py` is the same bot in Python.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { connectSerin } from '../../src/client/index.ts';

const [, , url = '', deploymentId = '', run = '', diary = ''] = argv;
const note = (kind: string, value: unknown) =>
  appendFileSync(diary, `${JSON.stringify({ run, kind, value })}\n`);

const serin = connectSerin({ url });
void follow();
const [canary, stable] = await Promise.all([
  serin.side(deploymentId, 'CANARY'),
  serin.side(deploymentId, 'STABLE'),
]);
const holding = [canary, stable].map(async (side) => {
  for await (const allocation of side.allocations()) {
    const { number, acknowledged } = allocation;
    note('offered', { side: side.side, number, acknowledged });
    const { success } = await allocation.acknowledge();
    if (success) note('acknowledged', { side: side.side, number });
  }
});
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
await Promise.all(holding);
note('ended', true);

/** Every event once, over all runs: it continues after the last one that is in the diary. */
async function follow(): Promise<void> {
  const lines = existsSync(diary) ? readFileSync(diary, 'utf8').split('\n').filter(Boolean) : [];
  const seen = lines.map((line) => JSON.parse(line)).findLast(({ kind }) => kind === 'event');
  const query = `subscription ($id: ID, $after: String) {
    eventAppended(deploymentId: $id, after: $after) { cursor id } }`;
  const variables = { id: deploymentId };
  for await (const event of serin.follow({ query, variables, after: seen?.value.cursor ?? '0' })) {
    note('event', event);
  }
}
