/**
 * Bugs on purpose, to check the checker: each is one line of the built program changed, in a copy that is run instead.
 * A line that no longer stands as it is written here fails, so that these stay true to the program.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly line: string;
  readonly becomes: string;
  /** How a violation that it causes begins. */
  readonly foundAs: readonly string[];
  /** The faults that show it; all kinds unless given. */
  readonly kinds?: readonly string[];
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a feed that reads by plain id',
    file: 'store/log/eventLog.js',
    line: 'const settled = sql `(${events.incarnation}, ${events.xid}) < ${settledBefore}`;',
    becomes: 'const settled = sql `true`;',
    foundAs: ['a feed is the log'],
  },
  {
    name: 'a decision without the lock',
    file: 'store/deployments/deployments.js',
    line: 'const locking = (tx, statement) => tx.execute(statement).then((rows) => new Set(rows.map(({ id }) => id)));',
    becomes: 'const locking = async () => ({ has: () => true });',
    foundAs: [
      'nothing crashes',
      'replay = row',
      'one decision wins',
      'revisions without gap',
      'losers are told',
    ],
  },
  {
    name: 'a transaction that has its id before it waits',
    file: 'store/deployments/deployments.js',
    line: 'pg_advisory_xact_lock(${EVENTS_LOCK}, hashtext(${id}))',
    becomes: 'pg_advisory_xact_lock(pg_backend_pid(), hashtext(${id}))',
    foundAs: ['events without gap', 'revisions without gap'],
  },
  {
    name: 'a notification instead of the log',
    file: 'feed/tail.js',
    line: 'while (await growth.next(pause)) {',
    becomes:
      'for (;;) { const asleep = performance.now(); if (!(await growth.next(pause))) break; ' +
      'if (performance.now() - asleep > pause - 2) position = await lastSettledPosition(db).catch(() => position);',
    foundAs: ['a feed is the log'],
  },
  {
    name: 'a freeze that a node sees late',
    file: 'store/safety/freezes.js',
    line: 'const [freezes, { now }] = await Promise.all([readFreezes(db), readClock(db)]);',
    becomes:
      'const old = (globalThis.seen?.at ?? 0) < Date.now() - 3000; if (old) globalThis.seen = { at: Date.now(), ' +
      'freezes: await readFreezes(db) }; const { freezes } = globalThis.seen; const { now } = await readClock(db);',
    foundAs: ['a freeze holds'],
  },
  {
    name: 'a halt whose deployments share a key',
    file: 'app/haltCanaries.js',
    line: "JSON.stringify(['halt', key, deploymentId])",
    becomes: "JSON.stringify(['halt', key])",
    foundAs: ['what lowers risk is done', 'a halt tells the truth'],
  },
  {
    name: 'a halt that leaves one out',
    file: 'app/haltCanaries.js',
    line: 'halt.deploymentIds.map((id) => limit(',
    becomes: 'halt.deploymentIds.slice(1).map((id) => limit(',
    foundAs: ['a halt completes'],
  },
  {
    name: 'a budget that lets losses pass',
    file: 'app/budgetTrips.js',
    line: '=> loss.gte(maxLossUsd);',
    becomes: '=> loss.gte(maxLossUsd.times(100));',
    foundAs: ['a budget sees every loss'],
  },
  {
    name: 'a budget that acts on nobody',
    file: 'app/budgetTrips.js',
    line: 'return findLiveCanaries(tx, id, which[action]);',
    becomes: 'return [];',
    foundAs: ['a halt misses nobody'],
    // Not those that take many trips back, or leave little time for them.
    kinds: [
      'kill -9 of a node',
      'SIGTERM of a node',
      'SIGSTOP and SIGCONT of a node',
      'connections between a node and PostgreSQL cut',
    ],
  },
  {
    name: 'a cursor whose epoch is not read',
    file: 'store/log/position.js',
    line: '{ label: match[1] ?? null, xid, id }',
    becomes: '{ label: null, xid, id }',
    foundAs: ['a feed is the log', 'history is rewound by a restore only'],
    kinds: ['failover to a standby', 'connections between a node and its clients cut'],
  },
  {
    name: 'a feed that goes on after a rewind',
    file: 'feed/serverWatch.js',
    line: 'listener({ from: lost.entry.position, until: known, lastCursor });',
    becomes: 'void listener;',
    foundAs: ['a feed is the log'],
    kinds: ['restore of an earlier state'],
  },
];

/** Changes the program. Throws when the line is not there exactly once. */
export async function mutate(program: string, { name, file, line, becomes }: Mutation): Promise<void> {
  const path = join(dirname(program), file);
  const text = await readFile(path, 'utf8');
  const found = text.split(line).length - 1;
  if (found !== 1)
    throw new Error(`${name}: the line to change is ${found} times in ${file}, not once: ${line}`);
  await writeFile(
    path,
    text.replace(line, () => becomes),
  );
}
