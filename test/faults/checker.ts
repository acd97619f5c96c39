/**
 * Proves on a history and the database it left that what must stay true was true (docs/architecture.md). A violation
 * is a sentence; an empty list is the proof.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Decimal } from 'decimal.js';
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { type DeploymentView, findDeployments } from '../../src/store/deployments/deployments.ts';
import { type LogPart, readLog } from '../../src/store/log/eventLog.ts';
import type { LogEntry } from '../../src/store/log/logEntry.ts';
import { formatCursor, LOG_START, type LogPosition } from '../../src/store/log/position.ts';
import type { Database, Queries } from '../../src/store/postgres/database.ts';
import type { History, Operation, Subscriber } from './history.ts';
import { checkSafety } from './safetyChecker.ts';

const TERMINAL = new Set(['CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED']);
const DECISIONS = new Set(['promoteCanary', 'rollbackCanary', 'cancelDeployment']);

export async function check(all: History, database: Database): Promise<string[]> {
  const { db, client } = database;
  const history = withoutLost(all);
  const { log, deployments } = await atOneMoment(db);
  const byDeployment = groupBy(log, ({ deploymentId }) => deploymentId);
  const byActor = groupBy(log, ({ event }) => event.actor);
  return [
    ...history.crashes.map((why) => `nothing crashes: ${why}`),
    ...deployments.flatMap((view) => logIsTheState(view, byDeployment.get(view.state.id) ?? [])),
    ...all.operations.flatMap((operation) => actsAtMostOnce(operation, byActor.get(operation.actor) ?? [])),
    ...history.operations.flatMap((operation) => actedOnce(operation, byActor.get(operation.actor) ?? [])),
    ...oneWins(history, byDeployment),
    ...(await reportsAreThere(history, client)),
    ...(await capitalAddsUp(history, client)),
    ...history.subscribers.flatMap((subscriber) => sawTheLog(subscriber, log)),
    ...(await checkSafety(history, log, database)),
    ...history.subscribers.flatMap((subscriber) => checkRewinds(subscriber, history)),
  ];
}

/**
 * The history without what was in flight while the database was at a state that it was taken back from. Its answers prove
 * nothing: not that something is in the database, nor that it is not.
 */
function withoutLost(history: History): History {
  const { restores, operations, freezes, halts } = history;
  const isCertain = (sentAt: number, answeredAt = Number.POSITIVE_INFINITY) =>
    !restores.some(({ from, to }) => sentAt <= to && answeredAt >= from);
  return {
    ...history,
    operations: operations.filter(({ sentAt, answeredAt }) => isCertain(sentAt, answeredAt)),
    freezes: freezes.filter(({ answeredAt }) => isCertain(answeredAt, answeredAt)),
    halts: halts.filter(({ sentAt, answeredAt }) => isCertain(sentAt, answeredAt)),
  };
}

/** A failover to a standby that has all commits is no rewind; a restore is at most one for each subscriber. */
function checkRewinds({ name, rewinds }: Subscriber, { restores }: History): string[] {
  if (rewinds.length <= restores.length) return [];
  const learned = rewinds.map(({ at, to }) => `at ${Math.round(at)} ms to ${to}`).join(', ');
  const lost = restores.map(({ from, to }) => `${Math.round(from)} to ${Math.round(to)} ms`).join(', ');
  return [
    `history is rewound by a restore only: ${name} was sent back ${learned}; restores ${lost || 'none'}`,
  ];
}

interface Moment {
  readonly log: readonly LogEntry[];
  readonly deployments: readonly DeploymentView[];
}

/**
 * The whole log, and the deployments as they were then: one that has ended may still be reminded of an overdue allocation.
 * Tries again while an open transaction holds back part of the log.
 */
async function atOneMoment(db: Database['db']): Promise<Moment> {
  for (;;) {
    const moment = await db.transaction(readMoment, { isolationLevel: 'repeatable read' });
    if (moment) return moment;
    await sleep(50);
  }
}

async function readMoment(tx: Queries): Promise<Moment | null> {
  const log = await wholeLog(tx);
  const [row] = await tx.execute<{ count: number }>(sql`select count(*)::int as count from events`);
  if (row?.count !== log.length) return null;
  const ids = [...new Set(log.map(({ deploymentId }) => deploymentId))];
  return { log, deployments: await findDeployments(tx, ids) };
}

async function wholeLog(db: Queries): Promise<LogEntry[]> {
  const log: LogEntry[] = [];
  let from: LogPosition | null = LOG_START;
  while (from) {
    const { entries, end }: LogPart = await readLog(db, from, 1000, { scope: null });
    log.push(...entries);
    from = end;
  }
  return log;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

/** Events are numbered without gap, so are revisions; replaying gives the row; the end comes once. */
function logIsTheState({ state }: DeploymentView, entries: readonly LogEntry[]): string[] {
  const { id } = state;
  const violations: string[] = [];
  const events = entries.map(({ event }) => event);
  const gap = events.findIndex(({ no }, index) => no !== index + 1);
  if (gap >= 0) violations.push(`events without gap: ${id} has ${events[gap]?.no} where ${gap + 1} belongs`);
  let revision = 0;
  for (const event of events) {
    if (event.revision !== revision && event.revision !== revision + 1) {
      violations.push(`revisions without gap: ${id} goes from ${revision} to ${event.revision}`);
    }
    revision = event.revision;
  }
  const ends = events.filter(({ type }) => TERMINAL.has(type));
  if (ends.length > 1) violations.push(`one end: ${id} has ${ends.map(({ type }) => type).join(', ')}`);
  if (gap < 0) {
    const replayed = replay(events);
    if (!isDeepStrictEqual(replayed, state)) {
      violations.push(
        `replay = row: ${id} replays to ${JSON.stringify(replayed)}, its row is ${JSON.stringify(state)}`,
      );
    }
  }
  return violations;
}

const nameOf = ({ actor, mutation, deploymentId }: Operation) => `${mutation} of ${actor} on ${deploymentId}`;
const actsIn = (entries: readonly LogEntry[]) =>
  new Set(entries.map(({ deploymentId: id, event }) => `${id} ${event.revision}`));

function actsAtMostOnce(operation: Operation, entries: readonly LogEntry[]): string[] {
  const { size } = actsIn(entries);
  return size > 1 ? [`keys act once: ${nameOf(operation)} acted ${size} times`] : [];
}

/** A key acts once: what was answered is in the log, and nothing else is. */
function actedOnce(operation: Operation, entries: readonly LogEntry[]): string[] {
  const { deploymentId, answers } = operation;
  const name = nameOf(operation);
  const acts = actsIn(entries);
  const [first] = answers;
  if (!first) return [];
  const violations: string[] = [];
  for (const answer of answers) {
    if (answer.success !== first.success || answer.error?.code !== first.error?.code) {
      violations.push(
        `keys act once: ${name} was answered ${JSON.stringify(first)} and ${JSON.stringify(answer)}`,
      );
    }
  }
  const { success, error, deployment } = first;
  if (success && !acts.has(`${deploymentId} ${deployment?.revision}`)) {
    violations.push(`acknowledged is on disk: ${name} is not in the log at revision ${deployment?.revision}`);
  }
  if (!success && acts.size > 0) violations.push(`a refusal changes nothing: ${name} is in the log`);
  if (error?.code === 'INVALID_INPUT' && error.path.length === 0) {
    violations.push(`bad input names its field: ${name} got none`);
  }
  return violations;
}

/** Of promote, rollback and cancel one wins, whoever asked; who came after it was told. */
function oneWins(history: History, log: ReadonlyMap<string, readonly LogEntry[]>): string[] {
  const violations: string[] = [];
  const { operations, restores } = history;
  for (const { actor, mutation, deploymentId, answers } of operations) {
    const [answer] = answers;
    if (!answer || !DECISIONS.has(mutation)) continue;
    const end = log.get(deploymentId)?.find(({ event }) => TERMINAL.has(event.type))?.event;
    if (answer.success && end?.actor !== actor) {
      violations.push(`one decision wins: ${actor} was told that its ${mutation} of ${deploymentId} did`);
    }
    const isLost = restores.length > 0 && !log.has(deploymentId) && answer.error?.code === 'NOT_FOUND';
    if (!answer.success && !isLost && !isRightly(answer.error?.code, mutation, deploymentId, log)) {
      violations.push(
        `losers are told: ${mutation} of ${actor} was answered ${JSON.stringify(answer.error)}`,
      );
    }
  }
  return violations;
}

/** Whether a decision may be refused with this code. */
function isRightly(
  code: string | undefined,
  mutation: string,
  deploymentId: string,
  log: ReadonlyMap<string, readonly LogEntry[]>,
): boolean {
  if (code === 'INVALID_TRANSITION') return true;
  if (mutation !== 'promoteCanary') return false;
  return code === 'FROZEN' || (code === 'STALE_STABLE_VERSION' && stableVersionMoved(deploymentId, log));
}

/** Whether another deployment of its strategy, on another chain, was promoted after this one began. */
function stableVersionMoved(deploymentId: string, log: ReadonlyMap<string, readonly LogEntry[]>): boolean {
  const began = log.get(deploymentId)?.[0];
  const others = [...log].filter(([id]) => id !== deploymentId).flatMap(([, entries]) => entries);
  return others.some(
    ({ event, strategyId }) =>
      event.type === 'CANARY_PROMOTED' && strategyId === began?.strategyId && event.at >= began.event.at,
  );
}

async function reportsAreThere({ reported }: History, client: postgres.Sql): Promise<string[]> {
  const rows = await client<{ id: string; side: string; trades: string }[]>`
    select deployment_id as id, side, trades::text from side_metrics`;
  const trades = new Map(rows.map((row) => [`${row.id} ${row.side}`, Number(row.trades)]));
  return [...reported].flatMap(([key, known]) => {
    const found = trades.get(key) ?? 0;
    return found >= known.trades
      ? []
      : [`acknowledged is on disk: ${key} was told of ${known.trades} trades, there are ${found}`];
  });
}

async function capitalAddsUp({ operations }: History, client: postgres.Sql): Promise<string[]> {
  const rows = await client<{ id: string }[]>`
    select id from deployments where canary_capital_usd + stable_capital_usd is distinct from total_capital_usd`;
  const told = operations.flatMap(({ actor, answers }) =>
    answers.flatMap(({ deployment }) => {
      const { totalCapitalUsd: total, canaryCapitalUsd: canary, stableCapitalUsd: stable } = deployment ?? {};
      if (!total || !canary || !stable || new Decimal(canary).plus(stable).eq(total)) return [];
      return [`capital adds up: ${actor} was told ${canary} + ${stable} = ${total}`];
    }),
  );
  return [...rows.map(({ id }) => `capital adds up: not in the row of ${id}`), ...told];
}

/** Every event once and in the order of the log, over all connections, until it had all of them. */
function sawTheLog({ name, feed, deliveries: all, end }: Subscriber, log: readonly LogEntry[]): string[] {
  const whole = log
    .filter(({ timeline, change }) => (feed === 'eventAppended' ? timeline : change !== null))
    .map(({ position }) => formatCursor(position));
  const last = end === undefined ? -1 : whole.indexOf(end);
  const expected = last < 0 ? whole : whole.slice(0, last + 1);
  const deliveries = last < 0 ? all : all.slice(0, last + 1);
  const place = expected.findIndex((cursor, index) => deliveries[index]?.cursor !== cursor);
  if (place < 0 && deliveries.length === expected.length) return [];
  const at = place < 0 ? expected.length : place;
  return [
    `a feed is the log: ${name} has ${deliveries[at]?.id ?? 'nothing'} at ${at} of ${expected.length} ` +
      `(${deliveries.length} deliveries)`,
  ];
}
