/** Finding, locking and writing deployments. */
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import { configCodec } from '../../core/config/codec.ts';
import type { CanaryConfig } from '../../core/config/config.ts';
import type { DeploymentState } from '../../core/lifecycle/state.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import { readStored } from '../../core/values/stored.ts';
import { monthOf } from '../log/partitions.ts';
import { EVENTS_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import { bulkUpdate } from '../tables/bulk.ts';
import { deployments } from '../tables/tables.ts';
import { rememberWritten } from './knownRows.ts';
import { MOVING_COLUMNS, movingColumns, stateToColumns } from './rows.ts';
import { type DeploymentView, idList, readView, readViewsById, SERVER, versionOf } from './views.ts';

export {
  type DeploymentView,
  NO_HEARTBEATS,
  NO_REPORTERS,
  readView as findDeployment,
  readViewsById,
} from './views.ts';

/** The strategy of a deployment; null if there is no such deployment. */
export async function findStrategyOf(db: Queries, id: string): Promise<string | null> {
  const [row] = await db
    .select({ strategyId: deployments.strategyId })
    .from(deployments)
    .where(eq(deployments.id, id));
  return row?.strategyId ?? null;
}

/** Finds several deployments with one statement. Returns those that exist, in no particular order. */
export async function findDeployments(db: Queries, ids: readonly string[]): Promise<DeploymentView[]> {
  const found = await readViewsById(db, ids);
  return [...found.values()].map((view) => {
    if (view instanceof Error) throw view;
    return view;
  });
}

/**
 * Sends a locking statement immediately, so that it precedes the read that follows: without `then` Drizzle would send it
 * only when it is awaited. Resolves to the ids in the result.
 */
const locking = (tx: Queries, statement: SQL): Promise<ReadonlySet<string>> =>
  tx.execute<{ id: string }>(statement).then((rows) => new Set(rows.map(({ id }) => id)));

/** A deployment has something of a later version of Serin that this node does not know: a node of that version must act. */
export class LaterVersion extends Error {
  /** @param what a clause that ends with what this node does not know */
  constructor(id: string, what: string) {
    super(
      `Deployment ${id} ${what}, which this node does not know: send the request to a node of the later version of Serin`,
    );
  }
}

/** @throws {LaterVersion} if it is under a later version of the decision rule */
function requireKnownRule(view: DeploymentView | null): DeploymentView | null {
  if (view?.state.laterRule !== undefined) {
    throw new LaterVersion(view.state.id, `is under version ${view.state.laterRule} of the decision rule`);
  }
  return view;
}

/**
 * Locks a deployment, waiting for other holders of its lock, and then reads it under the lock. A transaction that appends
 * events takes the advisory lock before the row lock and before any write: one that blocks on a row lock may already have
 * a transaction id and be overtaken, one blocked on the advisory lock has none. So transaction ids follow the order of a
 * deployment's events. @throws {LaterVersion}
 */
export async function lockDeployment(tx: Queries, id: string): Promise<DeploymentView | null> {
  const named = locking(tx, sql`select pg_advisory_xact_lock(${EVENTS_LOCK}, hashtext(${id}))`);
  const locked = locking(tx, sql`select id from deployments where id = ${id} for no key update`);
  const [view] = await Promise.all([readView(tx, id), named, locked]);
  return requireKnownRule(view);
}

/** Locks deployments one after the other in the order of their ids, waiting for other holders, and reads them. */
export async function lockDeployments(tx: Queries, ids: readonly string[]): Promise<LockedDeployments> {
  const free = new Map<string, DeploymentView>();
  for (const id of ids.toSorted()) {
    const view = await lockDeployment(tx, id);
    if (view) free.set(id, view);
  }
  return { free, skipped: new Set() };
}

/** Of several deployments; those in neither set do not exist. */
export interface LockedDeployments {
  /** Locked by this transaction, as read under the lock. */
  readonly free: ReadonlyMap<string, DeploymentView>;
  /** Locked by other transactions, unreadable, or under a later version of the rule. Each needs a transaction of its own. */
  readonly skipped: ReadonlySet<string>;
}

/** Locks those of several deployments that no other transaction holds, without waiting, and reads them. */
export async function lockFreeDeployments(tx: Queries, ids: readonly string[]): Promise<LockedDeployments> {
  const named = locking(
    tx,
    sql`select id from unnest(${sql.param([...ids])}::text[]) as given (id)
      where pg_try_advisory_xact_lock(${EVENTS_LOCK}, hashtext(id))`,
  );
  const locked = locking(
    tx,
    sql`select deployments.id from ${idList(ids)} join deployments on deployments.id = given.id
      order by deployments.id for no key update of deployments skip locked`,
  );
  const [views, names, rows] = await Promise.all([readViewsById(tx, ids), named, locked]);
  const free = new Map<string, DeploymentView>();
  const skipped = new Set<string>();
  for (const [id, view] of views) {
    const readable = !(view instanceof Error) && view.state.laterRule === undefined;
    if (readable && names.has(id) && rows.has(id)) free.set(id, view);
    else skipped.add(id);
  }
  return { free, skipped };
}

export interface Schedule {
  readonly nextCheckAt: number | null;
  /** When the next deadline of its capital must be checked. */
  readonly deadlineAt: number | null;
  readonly breaches: BreachCounts;
}

const schedule = ({ nextCheckAt, deadlineAt, breaches }: Schedule) => ({
  nextCheckAt: nextCheckAt === null ? null : new Date(nextCheckAt),
  deadlineAt: deadlineAt === null ? null : new Date(deadlineAt),
  breaches,
});

/** Inserts a deployment; false if its id exists or its strategy already has a live deployment on this chain. */
export async function insertDeployment(
  tx: Queries,
  state: DeploymentState,
  scheduled: Schedule,
): Promise<boolean> {
  const rows = await tx
    .insert(deployments)
    .values({ ...stateToColumns(state), ...schedule(scheduled), born: monthOf(sql`serin_now()`) })
    .onConflictDoNothing()
    .returning({ id: deployments.id });
  return rows.length === 1;
}

/** A state to write to its existing row. */
export interface Saved extends Schedule {
  readonly state: DeploymentState;
}

/** Updates the rows, which the transaction has locked, in one statement. Releases their claims. */
export async function saveDeployments(tx: LogWriteTransaction, saved: readonly Saved[]): Promise<void> {
  if (saved.length === 0) return;
  const rows = saved.map(({ state, ...scheduled }) => ({
    id: state.id,
    ...movingColumns(state),
    ...schedule(scheduled),
  }));
  const written = await tx.execute<Written>(sql`${updateRows(rows)} ${RETURNING_VERSIONS}`);
  const byId = new Map(saved.map((each) => [each.state.id, each]));
  tx.afterCommit.push(() => {
    for (const { id, version, server } of written) {
      const row = byId.get(id);
      if (row) rememberWritten(server, version, row);
    }
  });
}

const updateRows = bulkUpdate(
  deployments,
  'id',
  [...MOVING_COLUMNS, 'nextCheckAt', 'deadlineAt', 'breaches'],
  ['lease_until = null', 'lease_token = null', 'deadline_claimed_until = null'],
);
const RETURNING_VERSIONS = sql.raw(
  `returning deployments.id, ${versionOf('deployments')} as version, ${SERVER} as server`,
);

interface Written extends Record<string, unknown> {
  readonly id: string;
  readonly version: string;
  readonly server: string;
}

const updateBreaches = bulkUpdate(deployments, 'id', ['breaches']);

/** Writes only the breach counts of the guardrails, by the ids of the deployments, in one statement. */
export async function saveBreaches(tx: Queries, counts: ReadonlyMap<string, BreachCounts>): Promise<void> {
  if (counts.size === 0) return;
  await tx.execute(updateBreaches([...counts].map(([id, breaches]) => ({ id, breaches }))));
}

const updateConfigs = bulkUpdate(deployments, 'id', ['config']);

/**
 * Writes only the configurations, by the ids of the deployments, in one statement.
 * @throws {LaterVersion} if one has settings that this version does not know: they would be lost
 */
export async function saveConfigs(tx: Queries, configs: ReadonlyMap<string, CanaryConfig>): Promise<void> {
  if (configs.size === 0) return;
  const stored = await tx
    .select({ id: deployments.id, config: deployments.config })
    .from(deployments)
    .where(inArray(deployments.id, [...configs.keys()]));
  for (const { id, config } of stored) {
    const [unknown] = readStored(configCodec, config).unknown;
    if (unknown) throw new LaterVersion(id, `has the setting config.${unknown.path.join('.')}`);
  }
  const rows = [...configs].map(([id, config]) => ({ id, config: z.encode(configCodec, config) }));
  await tx.execute(updateConfigs(rows));
}

/** The live deployment of a strategy on a chain; null if there is none. */
export async function findLive(db: Queries, strategyId: string, chain: string) {
  const [row] = await db
    .select({ id: deployments.id, status: deployments.status })
    .from(deployments)
    .where(
      and(
        eq(deployments.strategyId, strategyId),
        eq(deployments.chain, chain),
        sql`${deployments.endedAt} is null`,
      ),
    );
  return row ?? null;
}
