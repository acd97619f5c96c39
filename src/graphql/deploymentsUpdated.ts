/** One subscription for a whole list: every deployment that matches now, then each that changes. */
import { GraphQLError } from 'graphql';
import type { Changes } from '../feed/changes.ts';
import {
  countDeployments,
  type DeploymentFilter,
  isMatch,
  pageDeployments,
} from '../store/deployments/deploymentPages.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder, type Context, type ListDelivery } from './builder.ts';
import { DeploymentFilterInput, readFilter } from './deploymentFilter.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { closing } from './stream.ts';

/** Deployments in the first picture. */
const MAX_FIRST = 1000;

interface DeploymentsUpdate {
  readonly deploymentId: string | null;
  readonly deployment: DeploymentView | null;
  readonly snapshot: boolean;
  readonly complete: boolean;
}

const DeploymentsUpdateType = builder.objectRef<DeploymentsUpdate>('DeploymentsUpdate').implement({
  description: 'A deployment of a list that is followed: as it stands now, or that it no longer matches.',
  fields: (t) => ({
    deploymentId: t.exposeID('deploymentId', {
      nullable: true,
      description: 'The deployment; null where the first picture is complete and holds none.',
    }),
    matches: t.boolean({
      description: 'Whether it matches the filter; false is sent once, when it no longer does.',
      resolve: ({ deployment }) => deployment !== null,
    }),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment as it is now; null when it no longer matches.',
      resolve: ({ deployment }) => deployment,
    }),
    snapshot: t.exposeBoolean('snapshot', { description: 'Whether it is part of the first picture.' }),
    complete: t.exposeBoolean('complete', {
      description:
        'Whether the first picture is complete: true on its last delivery, and on everything later.',
    }),
  }),
});

/** The first picture; the newest deployments first. */
async function firstPicture({ app }: Context, filter: DeploymentFilter): Promise<DeploymentView[]> {
  const found = await pageDeployments(app.db, {
    filter,
    order: { by: 'CREATED_AT', descending: true },
    limit: MAX_FIRST + 1,
    fromEnd: false,
  });
  if (found.length <= MAX_FIRST) return found;
  const count = await countDeployments(app.db, filter);
  const message = `${count} deployments match, at most ${MAX_FIRST} can be followed: narrow the filter`;
  throw new GraphQLError(message, { extensions: { code: 'TOO_COMPLEX' } });
}

function followDeployments(
  context: Context,
  filter: DeploymentFilter,
): AsyncIterableIterator<DeploymentsUpdate> {
  const { feed, loaders, list } = context;
  return closing(async function* (signal) {
    // Subscribes before it reads, so that no change falls between the two.
    const changes = list.parts === 'PICTURE' ? null : feed.watchAll(filter.scope ?? null, signal);
    const matching = new Map<string, () => void>();
    let begunAt = performance.now();
    const picture = await firstPicture(context, filter);
    for (const { state, metricsVersion } of picture) {
      if (changes) matching.set(state.id, changes.withMetrics(state.id, metricsVersion));
    }
    if (list.parts !== 'CHANGES') {
      list.about = { deploymentId: null, now: null, begunAt };
      if (picture.length === 0) {
        yield { deploymentId: null, deployment: null, snapshot: true, complete: true };
      }
      for (const [index, deployment] of picture.entries()) {
        const complete = index === picture.length - 1;
        list.about = { deploymentId: deployment.state.id, now: deployment.now, begunAt };
        yield { deploymentId: deployment.state.id, deployment, snapshot: true, complete };
      }
    }
    if (!changes) return;
    for (let ids = await changes.next(); ids; ids = await changes.next()) {
      loaders.deployment.clearAll();
      loaders.strategy.clearAll();
      loaders.freezes.clearAll();
      begunAt = performance.now();
      const changed = [...ids];
      for (const [index, view] of (await loaders.deployment.loadMany(changed)).entries()) {
        if (view instanceof Error) throw view;
        const update = updateOf(changed[index] ?? '', view, filter, matching, changes, list);
        if (!update) continue;
        list.about = { deploymentId: update.deploymentId, now: update.deployment?.now ?? null, begunAt };
        yield update;
      }
    }
  });
}

/** The update for a deployment that has changed, or that a rewind of history has removed; null when it is not of the list. */
function updateOf(
  id: string,
  view: DeploymentView | null,
  filter: DeploymentFilter,
  matching: Map<string, () => void>,
  changes: Changes,
  { isShown }: ListDelivery,
): DeploymentsUpdate | null {
  const unwatch = matching.get(id);
  if (view && isMatch(filter, view)) {
    if (!unwatch) matching.set(id, changes.withMetrics(id, view.metricsVersion));
    return { deploymentId: id, deployment: view, snapshot: false, complete: true };
  }
  if (!unwatch && !isShown(id)) return null;
  unwatch?.();
  matching.delete(id);
  return { deploymentId: id, deployment: null, snapshot: false, complete: true };
}

builder.subscriptionField('deploymentsUpdated', (t) =>
  t.field({
    type: DeploymentsUpdateType,
    description:
      `Every deployment that matches now (at most ${MAX_FIRST}), then each that changes: its state immediately, its metrics at ` +
      'most once a second. A slow consumer skips to the newest.',
    args: { filter: t.arg({ type: DeploymentFilterInput, description: 'Narrows the list.' }) },
    subscribe: (_root, { filter }, context) =>
      followDeployments(context, readFilter(filter, context.actor.strategies)),
    resolve: (update) => update,
  }),
);
