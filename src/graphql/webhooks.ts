/** Webhooks and their deliveries as they are read. */
import { formatDeliveryId, seesWebhook } from '../app/webhooks.ts';
import { formatCursor } from '../store/log/eventLog.ts';
import type { DELIVERY_STATUSES, WEBHOOK_STATUSES } from '../store/tables/webhookTables.ts';
import { type Delivery, type DeliveryAttempt, pageDeliveries } from '../store/webhooks/deliveries.ts';
import {
  countPending,
  findWebhook,
  pageWebhooks,
  type Webhook,
  type WebhookPosition,
} from '../store/webhooks/webhooks.ts';
import { builder } from './builder.ts';
import { EventTypeEnum } from './event.ts';
import {
  AFTER,
  BEFORE,
  type Connection,
  type Edge,
  FIRST,
  LAST,
  PageInfoType,
  readCursor,
  readPage,
  toConnection,
} from './paging.ts';

const WebhookStatus = builder.enumType('WebhookStatus', {
  description: 'Whether a webhook is delivered to.',
  values: {
    ENABLED: { description: 'Events are delivered.' },
    DISABLED: { description: 'Nothing is sent; it goes on where it stopped once it is enabled.' },
  } satisfies Record<(typeof WEBHOOK_STATUSES)[number], { description: string }>,
});

const DeliveryStatus = builder.enumType('WebhookDeliveryStatus', {
  description: 'How far a delivery is.',
  values: {
    PENDING: { description: 'Due, waiting for its next try, or for an earlier event of its deployment.' },
    DELIVERED: { description: 'The receiver answered 2xx.' },
    FAILED: { description: 'Given up after a day of tries; `redeliver` sends it again.' },
  } satisfies Record<(typeof DELIVERY_STATUSES)[number], { description: string }>,
});

export const WebhookRef = builder.objectRef<Webhook>('Webhook').implement({
  description:
    'Someone who is told of the timeline by HTTP POST, signed by the Standard Webhooks specification. Its times are ' +
    'real ones, whatever the time scale.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Stable and unique.' }),
    url: t.exposeString('url', { description: 'Where events are sent.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for.' }),
    strategyId: t.exposeID('strategyId', {
      nullable: true,
      description: 'Only events of this strategy; null: of all.',
    }),
    eventTypes: t.field({
      type: [EventTypeEnum],
      nullable: true,
      description: 'Only events of these types; null: of all.',
      resolve: ({ eventTypes }) => eventTypes && [...eventTypes],
    }),
    status: t.field({
      type: WebhookStatus,
      description: 'Whether it is delivered to.',
      resolve: ({ disabledReason }) => (disabledReason === null ? 'ENABLED' : 'DISABLED'),
    }),
    disabledReason: t.exposeString('disabledReason', {
      nullable: true,
      description: 'Why nothing is sent; null while it is enabled.',
    }),
    cursor: t.string({
      description: 'How far it has taken over the log: later events have no delivery yet.',
      resolve: ({ cursor }) => formatCursor(cursor),
    }),
    pendingCount: t.int({
      description: 'Deliveries still to be made; counted only when asked for.',
      resolve: ({ id }, _args, { app }) => countPending(app.db, id),
    }),
    previousSecretUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Until when the secret before the last rotation signs too; null when there was none.',
      resolve: ({ previousSecretUntil }) => previousSecretUntil,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    createdBy: t.exposeString('createdBy', { description: 'Who created it.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

const AttemptType = builder.objectRef<DeliveryAttempt>('WebhookAttempt').implement({
  description: 'One try to deliver.',
  fields: (t) => ({
    number: t.exposeInt('number', { description: 'Counts the tries of the delivery from 1.' }),
    startedAt: t.field({
      type: 'DateTime',
      description: 'When, in real time.',
      resolve: ({ startedAt }) => startedAt.getTime(),
    }),
    durationMs: t.exposeInt('durationMs', { description: 'How long it took, milliseconds.' }),
    httpStatus: t.exposeInt('httpStatus', {
      nullable: true,
      description: 'What the receiver answered; null when it did not.',
    }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'Why it counts as failed, in words; null when it was delivered.',
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next try was scheduled for; null when there was none to come.',
      resolve: ({ nextAttemptAt }) => nextAttemptAt?.getTime(),
    }),
  }),
});

const DeliveryRef = builder.objectRef<Delivery>('WebhookDelivery').implement({
  description: 'An event on its way to a webhook, with every try.',
  fields: (t) => ({
    id: t.id({ description: 'Give it to `redeliver`.', resolve: ({ seq }) => formatDeliveryId(seq) }),
    webhookId: t.exposeID('webhookId', { description: 'The webhook.' }),
    messageId: t.id({
      description: 'The id of the message, which is the id of the event: the same at every try.',
      resolve: ({ deploymentId, no }) => `${deploymentId}:${no}`,
    }),
    deploymentId: t.exposeID('deploymentId', { description: 'The deployment of the event.' }),
    eventNo: t.exposeInt('no', { description: 'The number of the event in its deployment.' }),
    eventType: t.expose('eventType', { type: EventTypeEnum, description: 'The type of the event.' }),
    status: t.expose('status', { type: DeliveryStatus, description: 'How far it is.' }),
    attemptCount: t.exposeInt('attempts', { description: 'How many tries there were.' }),
    attempts: t.field({
      type: [AttemptType],
      description: 'The tries, in order; the newest 50.',
      resolve: ({ seq }, _args, { loaders }) => loaders.attempts.load(seq),
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When it is tried next, unless an earlier event of its deployment is still to be delivered.',
      resolve: ({ status, nextAttemptAt }) => (status === 'PENDING' ? nextAttemptAt.getTime() : null),
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was taken over from the log.',
      resolve: ({ createdAt }) => createdAt.getTime(),
    }),
    settledAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was delivered or given up; null before.',
      resolve: ({ settledAt }) => settledAt?.getTime(),
    }),
  }),
});

const WebhookEdge = builder.objectRef<Edge<Webhook>>('WebhookEdge').implement({
  description: 'A webhook in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place.' }),
    node: t.expose('node', { type: WebhookRef, description: 'The webhook.' }),
  }),
});

const WebhookConnection = builder.objectRef<Connection<Webhook>>('WebhookConnection').implement({
  description: 'A page of webhooks.',
  fields: (t) => ({
    edges: t.field({ type: [WebhookEdge], description: 'The webhooks.', resolve: ({ edges }) => [...edges] }),
    nodes: t.field({
      type: [WebhookRef],
      description: 'The webhooks without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Where the page stands.' }),
  }),
});

const DeliveryEdge = builder.objectRef<Edge<Delivery>>('WebhookDeliveryEdge').implement({
  description: 'A delivery in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place.' }),
    node: t.expose('node', { type: DeliveryRef, description: 'The delivery.' }),
  }),
});

const DeliveryConnection = builder.objectRef<Connection<Delivery>>('WebhookDeliveryConnection').implement({
  description: 'A page of deliveries.',
  fields: (t) => ({
    edges: t.field({
      type: [DeliveryEdge],
      description: 'The deliveries.',
      resolve: ({ edges }) => [...edges],
    }),
    nodes: t.field({
      type: [DeliveryRef],
      description: 'The deliveries without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Where the page stands.' }),
  }),
});

const DeliveryFilter = builder.inputType('WebhookDeliveryFilter', {
  description: 'Whose deliveries, and which.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: 'Deliveries to this webhook.' }),
    deploymentId: t.id({ description: 'Of events of this deployment.' }),
    status: t.field({ type: [DeliveryStatus], description: 'In one of these statuses.' }),
  }),
});

const formatPlace = ({ createdAt, id }: Webhook) =>
  Buffer.from(JSON.stringify([createdAt, id])).toString('base64url');

function parsePlace(cursor: string): WebhookPosition | null {
  const match = /^\[(\d{1,15}),"(wh_\w+)"\]$/.exec(Buffer.from(cursor, 'base64url').toString());
  return match?.[1] && match[2] ? { at: Number(match[1]), id: match[2] } : null;
}

const parseSeq = (cursor: string) => (/^\d{1,18}$/.test(cursor) ? BigInt(cursor) : null);

builder.queryFields((t) => ({
  webhooks: t.field({
    type: WebhookConnection,
    description: 'Webhooks, the oldest first.',
    args: {
      strategyId: t.arg.id({ description: 'Only those that are told of this strategy alone.' }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
      last: t.arg.int({ description: LAST }),
      before: t.arg.string({ description: BEFORE }),
    },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const found = await pageWebhooks(app.db, {
        strategyId: args.strategyId ?? undefined,
        scope: actor.strategies,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parsePlace),
        before: readCursor('before', args.before, parsePlace),
        fromEnd: page.fromEnd,
      });
      return toConnection(found, page, args, formatPlace);
    },
  }),
  webhookDeliveries: t.field({
    type: DeliveryConnection,
    description:
      'What a webhook was and will be sent, the newest first. Settled deliveries are kept for a week.',
    args: {
      filter: t.arg({ type: DeliveryFilter, required: true, description: 'Which deliveries.' }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
      last: t.arg.int({ description: LAST }),
      before: t.arg.string({ description: BEFORE }),
    },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const webhook = await findWebhook(app.db, args.filter.webhookId);
      if (!webhook || !seesWebhook(actor, webhook)) return toConnection([], page, args, String);
      const found = await pageDeliveries(app.db, {
        webhookId: args.filter.webhookId,
        deploymentId: args.filter.deploymentId ?? undefined,
        statuses: args.filter.status ?? undefined,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parseSeq),
        before: readCursor('before', args.before, parseSeq),
        fromEnd: page.fromEnd,
      });
      return toConnection(found, page, args, ({ seq }) => String(seq));
    },
  }),
}));
