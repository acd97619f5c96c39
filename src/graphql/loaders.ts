/** Rows asked for in one request, read together. */
import DataLoader from 'dataloader';
import { type Actor, sees } from '../access/actor.ts';
import { archivedAt } from '../store/archivedRows.ts';
import type { Queries } from '../store/database.ts';
import { type DeploymentView, findDeployments } from '../store/deployments.ts';
import { findStrategies, type Strategy } from '../store/strategies.ts';
import { type DeliveryAttempt, findAttempts } from '../store/webhookDeliveries.ts';
import type { Loaders } from './builder.ts';

/** Loads what this actor sees; the rest is not there. */
export function createLoaders(db: Queries, actor: Actor): Loaders {
  return {
    deployment: new DataLoader<string, DeploymentView | null>(async (ids) => {
      const views = (await findDeployments(db, ids)).filter(({ state }) => sees(actor, state.strategyId));
      const found = new Map(views.map((view) => [view.state.id, view]));
      return ids.map((id) => found.get(id) ?? null);
    }),
    strategy: new DataLoader<string, Strategy | null>(async (ids) => {
      const strategies = (await findStrategies(db, ids)).filter(({ id }) => sees(actor, id));
      const found = new Map(strategies.map((strategy) => [strategy.id, strategy]));
      return ids.map((id) => found.get(id) ?? null);
    }),
    archivedAt: new DataLoader<string, number | null>(async (ids) => {
      const found = await archivedAt(db, ids);
      return ids.map((id) => found.get(id) ?? null);
    }),
    attempts: new DataLoader<bigint, DeliveryAttempt[]>(async (seqs) => {
      const found = await findAttempts(db, seqs);
      return seqs.map((seq) => found.filter(({ deliverySeq }) => deliverySeq === seq));
    }),
  };
}
