/** The queries for deployments, strategies and events. Objects that do not exist, or are not visible, are null. */

import { GraphQLError } from 'graphql';
import { exportDeployment } from '../app/exportImport.ts';
import { DEPLOYMENT_ORDERS } from '../store/deployments/deploymentPages.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { pageStrategies, type Strategy } from '../store/deployments/strategies.ts';
import { readSettledPage } from '../store/log/eventLog.ts';
import type { LogFilter } from '../store/log/logEntry.ts';
import { formatCursor, isAfter, LOG_START } from '../store/log/position.ts';
import { isBehindArchive } from '../store/log/retention.ts';
import { builder, type Loaders, Node } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { DeploymentConnection, pageOf } from './deploymentConnection.ts';
import { DeploymentFilterInput, readFilter } from './deploymentFilter.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { EventConnection, EventTypeEnum } from './event.ts';
import { paceOf } from './fairTurns.ts';
import { heavily } from './heavyReads.ts';
import {
  AFTER,
  BEFORE,
  badInput,
  FIRST,
  LAST,
  MAX_PAGE,
  pageArgs,
  readLogCursor,
  readPage,
  toConnection,
} from './paging.ts';
import { StrategyRef } from './strategy.ts';

const OrderField = builder.enumType('DeploymentOrderField', {
  description: 'What deployments can be ordered by.',
  values: DEPLOYMENT_ORDERS,
});

const OrderDirection = builder.enumType('OrderDirection', {
  description: 'Direction of an order.',
  values: ['ASC', 'DESC'] as const,
});

const OrderInput = builder.inputType('DeploymentOrder', {
  description: 'An order of deployments; deployments without the date come last.',
  fields: (t) => ({
    field: t.field({ type: OrderField, required: true, description: 'The date to order by.' }),
    direction: t.field({ type: OrderDirection, description: 'Default: DESC, newest first.' }),
  }),
});

const StrategyConnection = connectionType('Strategy', StrategyRef, { one: 'a strategy', many: 'strategies' });

const EventFilter = builder.inputType('EventFilter', {
  description: 'Filter for events; all given conditions must match.',
  fields: (t) => ({
    deploymentId: t.id({ description: 'Events of this deployment.' }),
    strategyId: t.id({ description: 'Events of this strategy.' }),
    types: t.field({ type: [EventTypeEnum], description: 'Events of these types.' }),
    from: t.field({ type: 'DateTime', description: 'Events at this time or later.' }),
    to: t.field({ type: 'DateTime', description: 'Events before this time.' }),
  }),
});

/** An id names a deployment or a strategy; a deployment comes first. */
async function findNode(loaders: Loaders, id: string): Promise<DeploymentView | Strategy | null> {
  return (await loaders.deployment.load(id)) ?? (await loaders.strategy.load(id));
}

function tooOld(): GraphQLError {
  const message =
    'Events after this cursor were archived: read those deployments with `exportDeployment`, and start again without a cursor';
  return new GraphQLError(message, { extensions: { code: 'CURSOR_TOO_OLD', path: ['after'] } });
}

builder.queryFields((t) => ({
  deployment: t.field({
    type: DeploymentRef,
    nullable: true,
    description:
      'One deployment: its status, both sides’ metrics, and the current comparison. Null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'The id of the deployment.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.deployment.load(id),
  }),
  deployments: t.field({
    type: DeploymentConnection,
    description: 'Deployments. Default order: newest first.',
    args: {
      filter: t.arg({ type: DeploymentFilterInput, description: 'Filter of the list.' }),
      orderBy: t.arg({ type: OrderInput, description: 'Default: CREATED_AT, DESC.' }),
      ...pageArgs(t),
    },
    resolve: (_root, args, context) =>
      pageOf(context, args, readFilter(args.filter, context.actor.strategies), {
        by: args.orderBy?.field ?? 'CREATED_AT',
        descending: args.orderBy?.direction !== 'ASC',
      }),
  }),
  strategy: t.field({
    type: StrategyRef,
    nullable: true,
    description: 'One strategy, by its name. Null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'The name of the strategy.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.strategy.load(id),
  }),
  strategies: t.field({
    type: StrategyConnection,
    description: 'Strategies in order of name.',
    args: {
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
    },
    resolve: async (_root, args, { reads, actor }) => {
      const page = readPage(args);
      const found = await pageStrategies(reads.db, {
        scope: actor.strategies,
        limit: page.limit + 1,
        after: args.after ?? undefined,
      });
      return toConnection(found, page, args, ({ id }) => id);
    },
  }),
  node: t.field({
    type: Node,
    nullable: true,
    description:
      'A deployment or strategy by its id; the deployment if its strategy has the same name. Null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'The id.' }) },
    resolve: (_root, { id }, { loaders }) => findNode(loaders, id),
  }),
  nodes: t.field({
    type: [Node],
    nullable: { list: false, items: true },
    description: 'Several objects by their ids, in the given order; null for each id without an object.',
    args: { ids: t.arg.idList({ required: true, description: `At most ${MAX_PAGE} ids.` }) },
    resolve: (_root, { ids }, { loaders }) => {
      if (ids.length > MAX_PAGE)
        throw badInput(`ids must be at most ${MAX_PAGE}, got ${ids.length}`, ['ids']);
      return Promise.all(ids.map((id) => findNode(loaders, id)));
    },
  }),
  exportDeployment: t.field({
    type: 'JSON',
    nullable: true,
    description: 'A deployment with its complete history as one versioned document, for `importDeployment`.',
    args: { id: t.arg.id({ required: true, description: 'The id of the deployment.' }) },
    resolve: (_root, { id }, context) =>
      heavily(context, async () => {
        const { app, reads, actor, presence } = context;
        const { signal } = presence;
        const found = await exportDeployment(reads.db, actor, id, signal);
        // One that was just created may not have reached the replica.
        return found ?? (reads.db === app.db ? null : exportDeployment(app.db, actor, id, signal));
      }),
  }),
  events: t.field({
    type: EventConnection,
    description:
      'The timeline of all deployments, in log order, without archived deployments. Feeds accept its cursors.',
    args: {
      filter: t.arg({ type: EventFilter, description: 'Filter of the list.' }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({
        description: `${AFTER} "0" is the beginning. \`HISTORY_REWOUND\` when the database was set back to a state before it.`,
      }),
      last: t.arg.int({ description: LAST }),
      before: t.arg.string({ description: BEFORE }),
    },
    resolve: async (_root, args, { reads: { db }, feed, app, actor }) => {
      const page = readPage(args);
      const after = (await readLogCursor(db, args.after, actor.strategies)) ?? LOG_START;
      const filter: LogFilter = {
        deploymentId: args.filter?.deploymentId ?? undefined,
        strategyId: args.filter?.strategyId ?? undefined,
        types: args.filter?.types ?? undefined,
        timelineOnly: true,
        scope: actor.strategies,
        from: args.filter?.from ?? undefined,
        to: args.filter?.to ?? undefined,
      };
      const before = await readLogCursor(db, args.before, actor.strategies, 'before');
      const { found, heldBack } = await readSettledPage(
        db,
        { ...page, after, before, limit: page.limit + 1, pace: paceOf({ app, actor }) },
        filter,
        feed.blockedMs(),
      );
      if (isAfter(after, LOG_START) && (await isBehindArchive(db, after, filter))) throw tooOld();
      const connection = toConnection(found, page, args, ({ position }) => formatCursor(position));
      return heldBack ? { ...connection, heldBackSeconds: feed.blockedMs() / 1000 } : connection;
    },
  }),
}));
