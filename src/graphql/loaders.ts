/** Rows asked for in one request, read together. */
import DataLoader from 'dataloader';
import type { Queries } from '../store/database.ts';
import { type DeploymentView, findDeployments } from '../store/deployments.ts';
import { findStrategies, type Strategy } from '../store/strategies.ts';
import type { Loaders } from './builder.ts';

export function createLoaders(db: Queries): Loaders {
  return {
    deployment: new DataLoader<string, DeploymentView | null>(async (ids) => {
      const found = new Map((await findDeployments(db, ids)).map((view) => [view.state.id, view]));
      return ids.map((id) => found.get(id) ?? null);
    }),
    strategy: new DataLoader<string, Strategy | null>(async (ids) => {
      const found = new Map((await findStrategies(db, ids)).map((strategy) => [strategy.id, strategy]));
      return ids.map((id) => found.get(id) ?? null);
    }),
  };
}
