/**
 * Proves what must stay true of freezes, halts and loss budgets: on what their senders were answered, the log, and the
 * tables. A violation is a sentence; an empty list is the proof.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { covers } from '../../src/store/access/strategyScope.ts';
import type { LogEntry } from '../../src/store/log/logEntry.ts';
import type { Database } from '../../src/store/postgres/database.ts';
import { readLossBudgets } from '../../src/store/safety/lossBudgets.ts';
import { readLosses } from '../../src/store/safety/losses.ts';
import type { Halted, History } from './history.ts';

/**
 * A decision has the time at which its deployment was locked, and is made later, at the latest when PostgreSQL ends a
 * transaction that does nothing. Near the end of a freeze the log alone proves nothing for so long. Real milliseconds.
 */
const LATE_MS = 12_000;
/** Times of events and of halts are rounded to milliseconds, each of them. */
const ROUNDING_MS = 2;
/** How long the losses of the last reports may take to be seen. */
const SEEN_WITHIN_MS = 20_000;

const RISKS: Readonly<Record<string, string>> = {
  CANARY_STARTED: 'DEPLOY',
  STEP_STARTED: 'STEP_UP',
  CANARY_PROMOTED: 'PROMOTE',
};
const RISKY_MUTATIONS: ReadonlySet<string> = new Set(['deployCanary', 'promoteCanary']);
const TERMINAL = new Set(['CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED']);
const DONE_BY: Readonly<Record<Halted['action'], string>> = {
  PAUSE: 'CANARY_PAUSED',
  ROLLBACK: 'CANARY_ROLLED_BACK',
  CANCEL: 'CANARY_CANCELLED',
};

interface FreezeRow {
  readonly id: string;
  readonly budget: string | null;
  readonly strategies: readonly string[];
  readonly blocks: readonly string[];
  /** On Serin's clock, epoch milliseconds. */
  readonly from: number;
  readonly until: number | null;
}

interface HaltRow {
  readonly key: string;
  readonly freeze: string | null;
  readonly ids: readonly string[];
  /** After the canaries were listed, in the same transaction. On Serin's clock, epoch milliseconds. */
  readonly listed: number;
  readonly done: boolean;
}

export async function checkSafety(
  history: History,
  log: readonly LogEntry[],
  { db, client }: Database,
): Promise<string[]> {
  const freezes = await client<FreezeRow[]>`select id, loss_budget_id as budget, strategies, blocks, 
      (extract(epoch from from_at) * 1000)::float8 as "from",
      (extract(epoch from least(until_at, lifted_at)) * 1000)::float8 as until from freezes`;
  const rate = await clockRate(client);
  const unseen = await unseenLosses(db);
  const halts = await client<HaltRow[]>`
    select key, freeze_id as freeze, deployment_ids as ids, (extract(epoch from created_at) * 1000)::float8 as listed,
      outcomes is not null as done from halts`;
  const budgets = await client<{ id: string; trips: number }[]>`select id, trips from loss_budgets`;
  return [
    ...freezes.flatMap((freeze) => nothingBegan(freeze, log, LATE_MS * rate)),
    ...nothingWasAnswered(history, log),
    ...history.halts.flatMap((halt) => halted(halt, log)),
    ...halts.flatMap((halt) => missedNobody(halt, freezes, log)),
    ...halts.filter(({ key, done }) => key.startsWith('budget:') && !done).map(unfinished),
    ...budgets.flatMap(({ id, trips }) => trippedOnce(id, trips, freezes, halts)),
    ...unseen,
  ];
}

async function clockRate(client: postgres.Sql): Promise<number> {
  const [row] = await client<{ rate: number }[]>`select rate::float8 as rate from clock`;
  return row?.rate ?? 1;
}

/** What a freeze blocks is not in the log while it lasts. */
function nothingBegan(
  { id, strategies, blocks, from, until }: FreezeRow,
  log: readonly LogEntry[],
  late: number,
): string[] {
  return log.flatMap(({ strategyId, deploymentId, event }) => {
    const risk = RISKS[event.type];
    if (!risk || !blocks.includes(risk) || !covers(strategies, strategyId)) return [];
    // Both times are rounded to milliseconds.
    const inside = event.at > from + 1 && (until === null || event.at < until - late);
    return inside ? [`a freeze holds: ${event.type} of ${deploymentId} at ${event.at}, within ${id}`] : [];
  });
}

/** What was sent after the answer of a freeze, and answered before its lifting was sent, did not happen. */
function nothingWasAnswered({ freezes, operations }: History, log: readonly LogEntry[]): string[] {
  const strategyOf = new Map(log.map(({ deploymentId, strategyId }) => [deploymentId, strategyId]));
  return operations.flatMap(({ actor, mutation, deploymentId, answers, sentAt, answeredAt }) => {
    const done = answers[0]?.success && answeredAt !== undefined && RISKY_MUTATIONS.has(mutation);
    if (!done) return [];
    const broken = freezes.find(
      (freeze) =>
        sentAt > freeze.answeredAt &&
        (freeze.liftSentAt === undefined || answeredAt < freeze.liftSentAt) &&
        covers(freeze.strategies, strategyOf.get(deploymentId) ?? ''),
    );
    return broken ? [`a freeze holds: ${mutation} of ${actor} succeeded within ${broken.id}`] : [];
  });
}

/** A halt says what it did, does it once, is refused nowhere, and comes to its end. */
function halted({ actor, action, answers }: Halted, log: readonly LogEntry[]): string[] {
  const last = answers.at(-1);
  if (!last) return [];
  const violations: string[] = [];
  if (!last.complete) violations.push(`a halt completes: ${actor} was last answered ${last.message}`);
  const outcomes = new Map<string, string>();
  for (const { deploymentId, outcome, message } of answers.flatMap((answer) => answer.outcomes)) {
    const before = outcomes.get(deploymentId) ?? outcome;
    if (before !== outcome) {
      violations.push(
        `a halt tells the truth: ${actor} was told ${before} and ${outcome} of ${deploymentId}`,
      );
    }
    outcomes.set(deploymentId, outcome);
    if (outcome === 'REFUSED') violations.push(`what lowers risk is done: ${action} of ${actor}: ${message}`);
  }
  const acts = new Map<string, number>();
  for (const { deploymentId, event } of log) {
    if (event.actor !== actor || event.type !== DONE_BY[action]) continue;
    acts.set(deploymentId, (acts.get(deploymentId) ?? 0) + 1);
  }
  for (const id of new Set([...acts.keys(), ...outcomes.keys()])) {
    const [done, times] = [outcomes.get(id) === 'DONE', acts.get(id) ?? 0];
    if (times > 1) violations.push(`a halt does nothing twice: ${actor} acted ${times} times on ${id}`);
    if (last.complete && done !== times > 0) {
      violations.push(
        `a halt tells the truth: ${actor} was told ${outcomes.get(id)} of ${id}, the log has ${times}`,
      );
    }
  }
  return violations;
}

/**
 * A halt with a freeze, or of a budget for all, has listed every canary that held capital. What ended after the list was
 * written was live in it: a decision is committed after the time that its event has.
 */
function missedNobody(
  { key, freeze: id, ids, listed: listedAt }: HaltRow,
  freezes: readonly FreezeRow[],
  log: readonly LogEntry[],
): string[] {
  const freeze = freezes.find((each) => each.id === id);
  // A budget that acts on losers only has chosen.
  if (!freeze || (freeze.budget !== null && freeze.strategies.includes('basis'))) return [];
  const { from } = freeze;
  const started = new Set<string>();
  const ended = new Set<string>();
  for (const { deploymentId, strategyId, event } of log) {
    if (!covers(freeze.strategies, strategyId)) continue;
    if (event.type === 'CANARY_STARTED' && event.at < from) started.add(deploymentId);
    if (TERMINAL.has(event.type) && event.at <= listedAt + ROUNDING_MS) ended.add(deploymentId);
  }
  const listed = new Set(ids);
  return [...started]
    .filter((each) => !ended.has(each) && !listed.has(each))
    .map((each) => `a halt misses nobody: ${each} held capital when ${key} began`);
}

const unfinished = ({ key }: HaltRow) => `a budget acts: the halt of ${key} was not carried out to its end`;

/** Each trip has one freeze and one halt. */
function trippedOnce(
  id: string,
  trips: number,
  freezes: readonly FreezeRow[],
  halts: readonly HaltRow[],
): string[] {
  const counts = [
    freezes.filter(({ budget }) => budget === id).length,
    halts.filter(({ key }) => key.startsWith(`budget:${id}:`)).length,
  ];
  return counts.every((count) => count === trips)
    ? []
    : [`a budget trips once: ${id} tripped ${trips} times, with ${counts.join(' freezes and ')} halts`];
}

/** No budget is armed and broken, once the last losses were seen. */
async function unseenLosses(db: Database['db']): Promise<string[]> {
  let unseen: string[] = [];
  for (let waited = 0; waited < SEEN_WITHIN_MS; waited += 200) {
    const [budgets, losses] = [await readLossBudgets(db), await readLosses(db)];
    unseen = budgets
      .filter(({ id, state, maxLossUsd }) => state === 'ARMED' && losses.get(id)?.gte(maxLossUsd))
      .map(
        ({ name, maxLossUsd, id }) =>
          `a budget sees every loss: ${name} has lost ${losses.get(id)} of ${maxLossUsd}`,
      );
    if (unseen.length === 0) break;
    await sleep(200);
  }
  return unseen;
}
