/** A strategy over time: its deployments, and the versions that were stable. */
import { MAX_LIVE } from '../store/deployments/deploymentPages.ts';
import type { StableVersion } from '../store/deployments/stableVersions.ts';
import { builder } from './builder.ts';
import { DeploymentConnection, pageOf } from './deploymentConnection.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { pageArgs } from './paging.ts';
import { StrategyRef } from './strategy.ts';

const StableVersionType = builder.objectRef<StableVersion>('StableVersion').implement({
  description: 'A version that was stable for a time.',
  fields: (t) => ({
    versionId: t.exposeString('versionId', { description: 'The version.' }),
    since: t.expose('since', { type: 'DateTime', description: 'Since when.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'Until when; null for the version of today.',
    }),
    deploymentId: t.exposeID('deploymentId', {
      nullable: true,
      description: 'The deployment that promoted it; null where none is known.',
    }),
  }),
});

builder.objectFields(StrategyRef, (t) => ({
  deployments: t.field({
    type: DeploymentConnection,
    description: 'Its deployments, the newest first.',
    args: pageArgs(t),
    resolve: ({ id }, args, context) =>
      pageOf(
        context,
        args,
        { strategyId: id, scope: context.actor.strategies },
        { by: 'CREATED_AT', descending: true },
      ),
  }),
  liveDeployments: t.field({
    type: [DeploymentRef],
    description: `Its deployments that have not ended, one a chain; at most ${MAX_LIVE}.`,
    resolve: async ({ id }, _args, { loaders }) => [...(await loaders.liveDeployments.load(id))],
  }),
  stableVersions: t.field({
    type: [StableVersionType],
    description: 'The versions that were stable, oldest first; the last is the one of today.',
    resolve: async (strategy, _args, { loaders }) => [...(await loaders.stableVersions.load(strategy))],
  }),
}));
