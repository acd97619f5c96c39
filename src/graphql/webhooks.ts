/** Webhooks and their deliveries: types and queries. */

import { formatDeliveryId, seesWebhook } from '../app/webhooks.ts';
import { knownType } from '../core/lifecycle/events.ts';
import { eventId } from '../store/log/incarnations.ts';
import { formatCursor } from '../store/log/position.ts';
import type { DELIVERY_STATUSES, WEBHOOK_STATUSES } from '../store/tables/webhookTables.ts';
import { type Delivery, type DeliveryAttempt, pageDeliveries } from '../store/webhooks/deliveries.ts';
import { countPending, findWebhook, pageWebhooks, type Webhook } from '../store/webhooks/webhooks.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { formatPlace, parseNumber, parsePlaceInTime } from './cursors.ts';
import { EventTypeEnum } from './event.ts';
import { READS } from './fairTurns.ts';
import { pageArgs, readCursor, readPage, toConnection } from './paging.ts';

const WebhookStatus = builder.enumType('WebhookStatus', {
  description: 'Whether events are sent to a webhook.',
  values: {
    ENABLED: { description: 'Events are delivered.' },
    DISABLED: { description: 'Nothing is sent; once enabled again, delivery continues where it stopped.' },
  } satisfies Record<(typeof WEBHOOK_STATUSES)[number], { description: string }>,
});

const DeliveryStatus = builder.enumType('WebhookDeliveryStatus', {
  description: 'Progress of a delivery.',
  values: {
    PENDING: {
      description: 'Due, or waiting for the next attempt or for an earlier event of its deployment.',
    },
    DELIVERED: { description: 'The receiver returned status 2xx.' },
    FAILED: { description: 'Given up after a day of attempts; `redeliver` sends it again.' },
  } satisfies Record<(typeof DELIVERY_STATUSES)[number], { description: string }>,
});

export const WebhookRef = builder.objectRef<Webhook>('Webhook').implement({
  description:
    'A receiver of timeline events by HTTP POST, signed according to the Standard Webhooks specification. Its times are ' +
    'real times, whatever the time scale.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Stable and unique.' }),
    url: t.exposeString('url', { description: 'Where events are sent.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for.' }),
    strategyId: t.exposeID('strategyId', {
      nullable: true,
      description: 'Only events of this strategy; null means all strategies.',
    }),
    eventTypes: t.field({
      type: [EventTypeEnum],
      nullable: true,
      description: 'Only events of these types; null means all types.',
      resolve: ({ eventTypes }) => eventTypes?.map(knownType) ?? null,
    }),
    status: t.field({
      type: WebhookStatus,
      description: 'Whether events are sent to it.',
      resolve: ({ disabledReason }) => (disabledReason === null ? 'ENABLED' : 'DISABLED'),
    }),
    disabledReason: t.exposeString('disabledReason', {
      nullable: true,
      description: 'Why nothing is sent; null while it is enabled.',
    }),
    cursor: t.string({
      description: 'Position in the log up to which deliveries were created.',
      resolve: ({ cursor }) => formatCursor(cursor),
    }),
    pendingCount: t.int({
      description: 'Number of pending deliveries; counted only if requested.',
      extensions: READS,
      resolve: ({ id }, _args, { app }) => countPending(app.db, id),
    }),
    previousSecretUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Until when messages are also signed with the previous secret; null if there is none.',
      resolve: ({ previousSecretUntil }) => previousSecretUntil,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    createdBy: t.exposeString('createdBy', { description: 'Who created it.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

const AttemptType = builder.objectRef<DeliveryAttempt>('WebhookAttempt').implement({
  description: 'One attempt to deliver.',
  fields: (t) => ({
    number: t.exposeInt('number', { description: 'Number of the attempt, starting at 1.' }),
    startedAt: t.field({
      type: 'DateTime',
      description: 'When it started, in real time.',
      resolve: ({ startedAt }) => startedAt.getTime(),
    }),
    durationMs: t.exposeInt('durationMs', { description: 'Its duration in milliseconds.' }),
    httpStatus: t.exposeInt('httpStatus', {
      nullable: true,
      description: 'Status code of the receiver’s response; null if there was no response.',
    }),
    error: t.exposeString('error', {
      nullable: true,
      description: 'Why the attempt failed, as a message; null if it was delivered.',
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next attempt was due; null if none was planned.',
      resolve: ({ nextAttemptAt }) => nextAttemptAt?.getTime(),
    }),
  }),
});

const DeliveryRef = builder.objectRef<Delivery>('WebhookDelivery').implement({
  description: 'The delivery of one event to a webhook, with its attempts.',
  fields: (t) => ({
    id: t.id({ description: 'Pass it to `redeliver`.', resolve: ({ seq }) => formatDeliveryId(seq) }),
    webhookId: t.exposeID('webhookId', { description: 'The webhook.' }),
    messageId: t.id({
      description: 'The id of the message, which is the id of the event: the same at every try.',
      resolve: ({ deploymentId, no, epoch }) => eventId(deploymentId, no, epoch),
    }),
    deploymentId: t.exposeID('deploymentId', { description: 'The deployment of the event.' }),
    eventNo: t.exposeInt('no', { description: 'The number of the event in its deployment.' }),
    eventType: t.field({
      type: EventTypeEnum,
      description: 'The type of the event.',
      resolve: ({ eventType }) => knownType(eventType),
    }),
    status: t.expose('status', { type: DeliveryStatus, description: 'Progress of the delivery.' }),
    attemptCount: t.exposeInt('attempts', { description: 'Number of attempts so far.' }),
    attempts: t.field({
      type: [AttemptType],
      description: 'The newest 50 attempts, in order.',
      resolve: ({ seq }, _args, { loaders }) => loaders.attempts.load(seq),
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When the next attempt is due, unless an earlier event of its deployment is still undelivered.',
      resolve: ({ status, nextAttemptAt }) => (status === 'PENDING' ? nextAttemptAt.getTime() : null),
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When the delivery was created.',
      resolve: ({ createdAt }) => createdAt.getTime(),
    }),
    settledAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was delivered or given up; null while pending.',
      resolve: ({ settledAt }) => settledAt?.getTime(),
    }),
  }),
});

const WebhookConnection = connectionType('Webhook', WebhookRef, { one: 'a webhook', many: 'webhooks' });

const DeliveryConnection = connectionType('WebhookDelivery', DeliveryRef, {
  one: 'a delivery',
  many: 'deliveries',
});

const DeliveryFilter = builder.inputType('WebhookDeliveryFilter', {
  description: 'Filter for deliveries.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: 'Deliveries to this webhook.' }),
    deploymentId: t.id({ description: 'Of events of this deployment.' }),
    status: t.field({ type: [DeliveryStatus], description: 'In one of these statuses.' }),
  }),
});

builder.queryFields((t) => ({
  webhooks: t.field({
    type: WebhookConnection,
    description: 'Webhooks, oldest first.',
    args: {
      strategyId: t.arg.id({ description: 'Only webhooks that are limited to this strategy.' }),
      ...pageArgs(t),
    },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const found = await pageWebhooks(app.db, {
        strategyId: args.strategyId ?? undefined,
        scope: actor.strategies,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parsePlaceInTime),
        before: readCursor('before', args.before, parsePlaceInTime),
        fromEnd: page.fromEnd,
      });
      return toConnection(found, page, args, ({ createdAt, id }) => formatPlace(createdAt, id));
    },
  }),
  webhookDeliveries: t.field({
    type: DeliveryConnection,
    description:
      'Past and pending deliveries of a webhook, newest first. Finished deliveries are kept for a week.',
    args: {
      filter: t.arg({ type: DeliveryFilter, required: true, description: 'Which deliveries.' }),
      ...pageArgs(t),
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
        after: readCursor('after', args.after, parseNumber),
        before: readCursor('before', args.before, parseNumber),
        fromEnd: page.fromEnd,
      });
      return toConnection(found, page, args, ({ seq }) => String(seq));
    },
  }),
}));
