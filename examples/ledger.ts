/**
 * A ledger of decisions in a file: every change of status once, over restarts of the ledger, of Serin and of the network.
 *
 *     npx tsx examples/ledger.ts ledger.jsonl
 *
 * One line is one entry and holds the cursor of its event: what was written and where the feed continues are the same
 * write, so neither can be there without the other. A last line that a crash cut off is dropped, and comes again.
 * `SERIN_URL` and `SERIN_KEY` as for the bots.
 */
import { open } from 'node:fs/promises';
import { argv, env } from 'node:process';
import { connectSerin } from '../src/client/index.ts';

interface StateChange {
  readonly cursor: string;
  readonly deploymentId: string;
  readonly previousStatus: string;
  readonly status: string;
  readonly at: string;
  readonly actor: string;
  readonly reason: string | null;
}

const FEED = `subscription ($after: String) { stateChanged(after: $after) {
  cursor deploymentId previousStatus status at actor reason } }`;

const file = await open(argv[2] ?? 'ledger.jsonl', 'a+');
const text = await file.readFile('utf8');
const whole = text.slice(0, text.lastIndexOf('\n') + 1);
await file.truncate(Buffer.byteLength(whole));
const last = whole.trimEnd().split('\n').at(-1);
const after: string = last ? JSON.parse(last).cursor : '0';
console.log(last ? `The ledger continues after ${after}.` : 'The ledger begins.');

const serin = connectSerin({
  url: env.SERIN_URL ?? 'http://127.0.0.1:4000',
  key: env.SERIN_KEY,
  onNotice: (sentence) => console.error(sentence),
});
for await (const change of serin.follow<StateChange>({ query: FEED, after })) {
  await file.appendFile(`${JSON.stringify(change)}\n`);
  await file.sync();
  console.log(
    `${change.at} ${change.deploymentId}: ${change.previousStatus} -> ${change.status}, ${change.actor}`,
  );
}
