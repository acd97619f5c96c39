/**
 * Data loaders: each row is read once per request, and rows needed by several requests in the same turn of the event
 * loop are read with one statement.
 */
import DataLoader from 'dataloader';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { type Actor, canSee } from '../access/actor.ts';
import { seesFreeze } from '../app/freezes.ts';
import { type DeploymentView, readViewsById } from '../store/deployments/deployments.ts';
import { findStrategies, type Strategy } from '../store/deployments/strategies.ts';
import { archivedAt } from '../store/log/archive.ts';
import type { Queries } from '../store/postgres/database.ts';
import { readStandingFreezes, type StandingFreezes } from '../store/safety/freezes.ts';
import { type DeliveryAttempt, findAttempts } from '../store/webhooks/deliveries.ts';
import type { Loaders, Reads } from './builder.ts';

/** Most rows per statement, so that no statement is slow. */
const MAX_ROWS_PER_STATEMENT = 100;

/** Everything is read from one database, on its own clock. */
export const readsFrom = (db: PostgresJsDatabase): Reads => ({ db, now: null, course: async () => db });

/**
 * Creates the loaders of a request. Rows that its actor cannot see are null.
 * @param primary where freezes are read from: they say what may happen next
 */
export function createLoaders(
  { db, now }: Pick<Reads, 'db' | 'now'>,
  primary: Queries = db,
): (actor: Actor) => Loaders {
  const deployments = acrossRequests<string, DeploymentView>(async (ids) => {
    const found = await readViewsById(db, ids);
    const at = now?.();
    return ids.map((id) => {
      const view = found.get(id) ?? null;
      return at === undefined || view === null || view instanceof Error ? view : { ...view, now: at };
    });
  });
  const strategies = acrossRequests<string, Strategy>(async (ids) => {
    const found = new Map((await findStrategies(db, ids)).map((strategy) => [strategy.id, strategy]));
    return ids.map((id) => found.get(id) ?? null);
  });
  return (actor) => ({
    deployment: new DataLoader<string, DeploymentView | null>(async (ids) => {
      const found = await deployments.loadMany(ids);
      return found.map((view) =>
        view === null || view instanceof Error || canSee(actor, view.state.strategyId) ? view : null,
      );
    }),
    strategy: new DataLoader<string, Strategy | null>(async (ids) => {
      const found = await strategies.loadMany(ids);
      return found.map((strategy) =>
        strategy === null || strategy instanceof Error || canSee(actor, strategy.id) ? strategy : null,
      );
    }),
    archivedAt: new DataLoader<string, number | null>(async (ids) => {
      const found = await archivedAt(db, ids);
      return ids.map((id) => found.get(id) ?? null);
    }),
    freezes: new DataLoader<'standing', StandingFreezes>(async (keys) => {
      const { freezes, at } = await readStandingFreezes(primary);
      const seen = freezes.filter((freeze) => seesFreeze(actor, freeze));
      return keys.map(() => ({ freezes: seen, at }));
    }),
    attempts: new DataLoader<bigint, DeliveryAttempt[]>(async (seqs) => {
      const found = await findAttempts(db, seqs);
      return seqs.map((seq) => found.filter(({ deliverySeq }) => deliverySeq === seq));
    }),
  });
}

/** Batches across requests without a cache: a request only gets rows that were read after it arrived. */
function acrossRequests<K, V>(
  read: (keys: readonly K[]) => Promise<(V | Error | null)[]>,
): DataLoader<K, V | null> {
  return new DataLoader<K, V | null>(read, {
    cache: false,
    maxBatchSize: MAX_ROWS_PER_STATEMENT,
    batchScheduleFn: (send) => void setImmediate(send),
  });
}
