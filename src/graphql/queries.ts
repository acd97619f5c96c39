/** The queries for deployments, strategies and events. Objects that do not exist, or are not visible, are null. */

import { GraphQLError } from 'graphql';
import { exportDeployment } from '../app/exportImport.ts';
import { observationOf } from '../core/lifecycle/state.ts';
import type {
  DeploymentFilter,
  DeploymentOrder,
  DeploymentView,
  Position,
} from '../store/deployments/deployments.ts';
import { countDeployments, DEPLOYMENT_ORDERS, pageDeployments } from '../store/deployments/deployments.ts';
import { pageStrategies, type Strategy } from '../store/deployments/strategies.ts';
import { type LogFilter, readLogWhenSettled } from '../store/log/eventLog.ts';
import { formatCursor, isAfter, LOG_START } from '../store/log/position.ts';
import { isBehindArchive } from '../store/log/retention.ts';
import { builder, type Loaders, Node } from './builder.ts';
import { StatusType } from './deployment.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { EventConnection, EventTypeEnum } from './event.ts';
import {
  AFTER,
  BEFORE,
  badInput,
  type Connection,
  type Edge,
  FIRST,
  LAST,
  MAX_PAGE,
  PageInfoType,
  readCursor,
  readLogCursor,
  readPage,
  toConnection,
} from './paging.ts';
import { StrategyRef } from './strategy.ts';

const FilterInput = builder.inputType('DeploymentFilter', {
  description: 'Filter for deployments; all given conditions must match.',
  fields: (t) => ({
    strategyId: t.id({ description: 'Deployments of this strategy.' }),
    chain: t.string({ description: 'On this chain.' }),
    status: t.field({ type: [StatusType], description: 'In one of these statuses.' }),
    canaryVersionId: t.string({ description: 'That try this version.' }),
    stableVersionId: t.string({ description: 'That run alongside this version.' }),
    startedFrom: t.field({ type: 'DateTime', description: 'Started at this time or later.' }),
    startedBefore: t.field({ type: 'DateTime', description: 'Started before this time.' }),
  }),
});

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

interface DeploymentPage extends Connection<DeploymentView> {
  readonly filter: DeploymentFilter;
}

const DeploymentEdge = builder.objectRef<Edge<DeploymentView>>('CanaryDeploymentEdge').implement({
  description: 'A deployment in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Cursor of this item; valid for this order only.' }),
    node: t.expose('node', { type: DeploymentRef, description: 'The deployment.' }),
  }),
});

const DeploymentConnection = builder.objectRef<DeploymentPage>('CanaryDeploymentConnection').implement({
  description: 'A page of deployments.',
  fields: (t) => ({
    edges: t.field({
      type: [DeploymentEdge],
      description: 'The deployments.',
      resolve: ({ edges }) => [...edges],
    }),
    nodes: t.field({
      type: [DeploymentRef],
      description: 'The deployments without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Position of this page in the list.' }),
    totalCount: t.int({
      description: 'Total number of matching deployments; counted only if requested.',
      resolve: ({ filter }, _args, { app }) => countDeployments(app.db, filter),
    }),
  }),
});

const StrategyEdge = builder.objectRef<Edge<Strategy>>('StrategyEdge').implement({
  description: 'A strategy in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Cursor of this item.' }),
    node: t.expose('node', { type: StrategyRef, description: 'The strategy.' }),
  }),
});

const StrategyConnection = builder.objectRef<Connection<Strategy>>('StrategyConnection').implement({
  description: 'A page of strategies.',
  fields: (t) => ({
    edges: t.field({
      type: [StrategyEdge],
      description: 'The strategies.',
      resolve: ({ edges }) => [...edges],
    }),
    nodes: t.field({
      type: [StrategyRef],
      description: 'The strategies without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Position of this page in the list.' }),
  }),
});

const EventFilter = builder.inputType('EventFilter', {
  description: 'Filter for events; all given conditions must match.',
  fields: (t) => ({
    deploymentId: t.id({ description: 'Events of this deployment.' }),
    strategyId: t.id({ description: 'Events of this strategy.' }),
    types: t.field({ type: [EventTypeEnum], description: 'Events of these types.' }),
  }),
});

/** An id names a deployment or a strategy; a deployment comes first. */
async function findNode(loaders: Loaders, id: string): Promise<DeploymentView | Strategy | null> {
  return (await loaders.deployment.load(id)) ?? (await loaders.strategy.load(id));
}

/** The position of a deployment in an order, for its cursor. */
function positionIn(by: DeploymentOrder, { state }: DeploymentView): Position {
  const at = {
    CREATED_AT: state.createdAt,
    STARTED_AT: observationOf(state)?.startedAt ?? null,
    ENDED_AT: 'endedAt' in state ? state.endedAt : null,
  }[by];
  return { at, id: state.id };
}

function formatPosition(by: DeploymentOrder, { at, id }: Position): string {
  return Buffer.from(JSON.stringify([by, at, id])).toString('base64url');
}

function parsePosition(by: DeploymentOrder, cursor: string): Position | null {
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (!Array.isArray(read) || read.length !== 3 || read[0] !== by) return null;
    const [, at, id]: unknown[] = read;
    if (typeof id !== 'string' || (at !== null && !Number.isSafeInteger(at))) return null;
    return { at: at === null ? null : Number(at), id };
  } catch {
    return null;
  }
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
      filter: t.arg({ type: FilterInput, description: 'Filter of the list.' }),
      orderBy: t.arg({ type: OrderInput, description: 'Default: CREATED_AT, DESC.' }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
      last: t.arg.int({ description: LAST }),
      before: t.arg.string({ description: BEFORE }),
    },
    resolve: async (_root, args, { app, actor }): Promise<DeploymentPage> => {
      const page = readPage(args);
      const { status, ...given } = args.filter ?? {};
      const filter: DeploymentFilter = {
        statuses: status ?? undefined,
        strategyId: given.strategyId ?? undefined,
        chain: given.chain ?? undefined,
        canaryVersionId: given.canaryVersionId ?? undefined,
        stableVersionId: given.stableVersionId ?? undefined,
        startedFrom: given.startedFrom ?? undefined,
        startedBefore: given.startedBefore ?? undefined,
        scope: actor.strategies,
      };
      const by = args.orderBy?.field ?? 'CREATED_AT';
      const found = await pageDeployments(app.db, {
        filter,
        order: { by, descending: args.orderBy?.direction !== 'ASC' },
        limit: page.limit + 1,
        after: readCursor('after', args.after, (cursor) => parsePosition(by, cursor)),
        before: readCursor('before', args.before, (cursor) => parsePosition(by, cursor)),
        fromEnd: page.fromEnd,
      });
      const cursorOf = (view: DeploymentView) => formatPosition(by, positionIn(by, view));
      return { ...toConnection(found, page, args, cursorOf), filter };
    },
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
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const found = await pageStrategies(app.db, {
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
    description: 'A deployment or strategy by its id. Null if there is none.',
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
    resolve: (_root, { id }, { app, actor }) => exportDeployment(app, actor, id),
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
    },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const after = (await readLogCursor(app.db, args.after, actor.strategies)) ?? LOG_START;
      const filter: LogFilter = {
        deploymentId: args.filter?.deploymentId ?? undefined,
        strategyId: args.filter?.strategyId ?? undefined,
        types: args.filter?.types ?? undefined,
        timelineOnly: true,
        scope: actor.strategies,
      };
      const found = await readLogWhenSettled(app.db, after, page.limit + 1, filter);
      if (isAfter(after, LOG_START) && (await isBehindArchive(app.db, after, filter))) throw tooOld();
      return toConnection(found, page, args, ({ position }) => formatCursor(position));
    },
  }),
}));
