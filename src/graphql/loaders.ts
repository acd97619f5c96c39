/**
 * Data loaders: each row is read once per request, and rows needed by several requests in the same turn of the event
 * loop are read with one statement.
 */
import DataLoader from 'dataloader';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { type Actor, canSee } from '../access/actor.ts';
import { seesFreeze } from '../app/freezes.ts';
import { EVENT_TYPES, type EventType } from '../core/lifecycle/events.ts';
import { readLiveDeployments } from '../store/deployments/deploymentPages.ts';
import { type DeploymentView, readViewsById } from '../store/deployments/deployments.ts';
import { readStableVersions } from '../store/deployments/stableVersions.ts';
import { findStrategies, type Strategy } from '../store/deployments/strategies.ts';
import { archivedAt } from '../store/log/archive.ts';
import { readLatestEvents } from '../store/log/deploymentEvents.ts';
import type { Queries } from '../store/postgres/database.ts';
import {
  type Freeze,
  readFreezes,
  readStandingFreezes,
  type StandingFreezes,
} from '../store/safety/freezes.ts';
import { type DeliveryAttempt, findAttempts } from '../store/webhooks/deliveries.ts';
import type { Loaders, Reads } from './builder.ts';

/** Most rows per statement, so that no statement is slow. */
const MAX_ROWS_PER_STATEMENT = 100;

/** Event types that summaries skip: they occur continuously, or follow from a decision. */
const PASSED_OVER: readonly EventType[] = [
  'CANARY_METRICS_UPDATED',
  'METRICS_UNAVAILABLE',
  'ALLOCATION_REQUESTED',
  'ALLOCATION_ACKNOWLEDGED',
  'ALLOCATION_SETTLED',
  'ALLOCATION_OVERDUE',
];
const SUMMARY_TYPES = EVENT_TYPES.filter((type) => !PASSED_OVER.includes(type));

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
  const onItsClock = (view: DeploymentView) => (now ? { ...view, now: now() } : view);
  const deployments = acrossRequests<string, DeploymentView>(async (ids) => {
    const found = await readViewsById(db, ids);
    return ids.map((id) => {
      const view = found.get(id) ?? null;
      return view === null || view instanceof Error ? view : onItsClock(view);
    });
  });
  const strategies = acrossRequests<string, Strategy>(async (ids) => {
    const found = new Map((await findStrategies(db, ids)).map((strategy) => [strategy.id, strategy]));
    return ids.map((id) => found.get(id) ?? null);
  });
  const make = {
    deployment: (actor: Actor) =>
      new DataLoader<string, DeploymentView | null>(async (ids) => {
        const found = await deployments.loadMany(ids);
        return found.map((view) =>
          view === null || view instanceof Error || canSee(actor, view.state.strategyId) ? view : null,
        );
      }),
    strategy: (actor: Actor) =>
      new DataLoader<string, Strategy | null>(async (ids) => {
        const found = await strategies.loadMany(ids);
        return found.map((strategy) =>
          strategy === null || strategy instanceof Error || canSee(actor, strategy.id) ? strategy : null,
        );
      }),
    archivedAt: () =>
      new DataLoader<string, number | null>(async (ids) => {
        const found = await archivedAt(db, ids);
        return ids.map((id) => found.get(id) ?? null);
      }),
    freezes: (actor: Actor) =>
      new DataLoader<'standing', StandingFreezes>(async (keys) => {
        const { freezes, at } = await readStandingFreezes(primary);
        const seen = freezes.filter((freeze) => seesFreeze(actor, freeze));
        return keys.map(() => ({ freezes: seen, at }));
      }),
    freezesSince: () =>
      batched<number, readonly Freeze[]>(async (instants) => {
        const freezes = await readFreezes(db, Math.min(...instants));
        return new Map(instants.map((instant) => [instant, freezes]));
      }, []),
    summaryEvent: () => batched((ids: readonly string[]) => readLatestEvents(db, ids, SUMMARY_TYPES), null),
    liveDeployments: () =>
      batched(async (ids: readonly string[]) => {
        const found = (await readLiveDeployments(db, ids)).map(onItsClock);
        return new Map(ids.map((id) => [id, found.filter(({ state }) => state.strategyId === id)]));
      }, []),
    stableVersions: () =>
      batched((strategies: readonly Strategy[]) => readStableVersions(db, strategies), []),
    attempts: () =>
      new DataLoader<bigint, DeliveryAttempt[]>(async (seqs) => {
        const found = await findAttempts(db, seqs);
        return seqs.map((seq) => found.filter(({ deliverySeq }) => deliverySeq === seq));
      }),
  };
  return (actor) => new ActorLoaders(actor, make);
}

/** How each loader of an actor is made. */
type Make = { readonly [Name in keyof Loaders]: (actor: Actor) => Loaders[Name] };

/** Each loader is made when it is first asked for: most requests need one of them or none. */
class ActorLoaders implements Loaders {
  readonly #actor: Actor;
  readonly #make: Make;
  #deployment?: Loaders['deployment'];
  #strategy?: Loaders['strategy'];
  #archivedAt?: Loaders['archivedAt'];
  #attempts?: Loaders['attempts'];
  #summaryEvent?: Loaders['summaryEvent'];
  #liveDeployments?: Loaders['liveDeployments'];
  #stableVersions?: Loaders['stableVersions'];
  #freezes?: Loaders['freezes'];
  #freezesSince?: Loaders['freezesSince'];

  constructor(actor: Actor, make: Make) {
    this.#actor = actor;
    this.#make = make;
  }

  get deployment() {
    this.#deployment ??= this.#make.deployment(this.#actor);
    return this.#deployment;
  }

  get strategy() {
    this.#strategy ??= this.#make.strategy(this.#actor);
    return this.#strategy;
  }

  get archivedAt() {
    this.#archivedAt ??= this.#make.archivedAt(this.#actor);
    return this.#archivedAt;
  }

  get attempts() {
    this.#attempts ??= this.#make.attempts(this.#actor);
    return this.#attempts;
  }

  get summaryEvent() {
    this.#summaryEvent ??= this.#make.summaryEvent(this.#actor);
    return this.#summaryEvent;
  }

  get liveDeployments() {
    this.#liveDeployments ??= this.#make.liveDeployments(this.#actor);
    return this.#liveDeployments;
  }

  get stableVersions() {
    this.#stableVersions ??= this.#make.stableVersions(this.#actor);
    return this.#stableVersions;
  }

  get freezes() {
    this.#freezes ??= this.#make.freezes(this.#actor);
    return this.#freezes;
  }

  get freezesSince() {
    this.#freezesSince ??= this.#make.freezesSince(this.#actor);
    return this.#freezesSince;
  }
}

/** Batches what is needed at the same time, without a cache: a subscription reads again for each delivery. */
function batched<K, V>(read: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>, none: V): DataLoader<K, V> {
  const readBatch = async (keys: readonly K[]) => {
    const found = await read([...new Set(keys)]);
    return keys.map((key) => found.get(key) ?? none);
  };
  return new DataLoader(readBatch, { cache: false, maxBatchSize: MAX_ROWS_PER_STATEMENT });
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
