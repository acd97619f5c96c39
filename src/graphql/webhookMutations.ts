/** The mutations of webhooks. They translate inputs; the use cases in `app/webhooks.ts` decide. */
import type { Requester } from '../app/execution/idempotency.ts';
import {
  createWebhook,
  deleteWebhook,
  redeliver,
  updateWebhook,
  type WebhookAnswer,
} from '../app/webhooks.ts';
import { parseCursor } from '../store/log/position.ts';
import { builder, type Context } from './builder.ts';
import { EventTypeEnum } from './event.ts';
import { KEY } from './lifecycle.ts';
import { readCursor } from './paging.ts';
import { resultFields } from './results.ts';
import { WebhookRef } from './webhooks.ts';

const WEBHOOK = 'The webhook.';

const CreateWebhookInput = builder.inputType('CreateWebhookInput', {
  description: 'A new webhook.',
  fields: (t) => ({
    url: t.string({
      required: true,
      description:
        'Where to send events: http or https. Private and local addresses only if the server allows them.',
    }),
    description: t.string({ description: 'What it is for.' }),
    strategyId: t.id({ description: 'Only events of this strategy. Default: all strategies.' }),
    eventTypes: t.field({
      type: [EventTypeEnum],
      description: 'Only events of these types. Default: all types.',
    }),
    after: t.string({
      description:
        'Cursor of the log after which to start ("0" is the beginning). Default: events from now on.',
    }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const UpdateWebhookInput = builder.inputType('UpdateWebhookInput', {
  description: 'A change of a webhook; omitted fields keep their values.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: WEBHOOK }),
    url: t.string({ description: 'Where to send events from now on.' }),
    description: t.string({ description: 'What it is for; null removes the description.' }),
    eventTypes: t.field({
      type: [EventTypeEnum],
      description: 'Only events of these types; null means all types. Pending deliveries stay.',
    }),
    enabled: t.boolean({
      description:
        'False stops delivery, true continues where it stopped; deliveries that expired meanwhile get one attempt.',
    }),
    rotateSecret: t.boolean({
      description: 'True creates a new secret; the old one signs alongside it for 24 hours.',
    }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const DeleteWebhookInput = builder.inputType('DeleteWebhookInput', {
  description: 'Deletes a webhook.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: WEBHOOK }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const RedeliverInput = builder.inputType('RedeliverInput', {
  description: 'What to send again: provide exactly one of the two.',
  fields: (t) => ({
    deliveryId: t.id({ description: 'This delivery, whatever its status.' }),
    webhookId: t.id({ description: 'All failed deliveries of this webhook.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const WebhookMutationResult = builder.interfaceRef<WebhookAnswer>('WebhookMutationResult').implement({
  description: 'Common fields of the results of all mutations of webhooks.',
  fields: (t) => ({
    ...resultFields(t),
    webhook: t.expose('webhook', {
      type: WebhookRef,
      nullable: true,
      description: 'The webhook after the mutation; null if there is none.',
    }),
  }),
});

const WebhookResult = builder.objectRef<WebhookAnswer>('WebhookResult').implement({
  description: 'Result of a mutation of one webhook.',
  interfaces: [WebhookMutationResult],
  fields: (t) => ({
    secret: t.exposeString('secret', {
      nullable: true,
      description:
        'The secret to verify signatures with (`whsec_…`). Only the result that created it contains it: store it now.',
    }),
  }),
});

const RedeliverResult = builder.objectRef<WebhookAnswer>('RedeliverResult').implement({
  description: 'Result of `redeliver`.',
  interfaces: [WebhookMutationResult],
  fields: (t) => ({
    scheduled: t.exposeInt('scheduled', { description: 'Number of deliveries that are sent again.' }),
  }),
});

const requestOf = (
  { actor }: Context,
  { idempotencyKey }: { readonly idempotencyKey?: string | null | undefined },
): Requester => ({ actor, idempotencyKey: idempotencyKey ?? null });

builder.mutationFields((t) => ({
  createWebhook: t.field({
    type: WebhookResult,
    description: 'Sends timeline events to a URL. The result contains the secret that signs them.',
    args: { input: t.arg({ type: CreateWebhookInput, required: true, description: 'What to create.' }) },
    resolve: (_root, { input }, context) =>
      createWebhook(context.app, requestOf(context, input), {
        url: input.url,
        description: input.description ?? null,
        strategyId: input.strategyId ?? null,
        eventTypes: input.eventTypes ?? null,
        after: readCursor('after', input.after, parseCursor) ?? null,
      }),
  }),
  updateWebhook: t.field({
    type: WebhookResult,
    description: 'Changes a webhook: its URL, event types or secret; stops or resumes delivery.',
    args: { input: t.arg({ type: UpdateWebhookInput, required: true, description: 'What to change.' }) },
    resolve: (_root, { input }, context) =>
      updateWebhook(context.app, requestOf(context, input), {
        webhookId: input.webhookId,
        url: input.url ?? undefined,
        description: input.description,
        eventTypes: input.eventTypes,
        enabled: input.enabled ?? undefined,
        rotateSecret: input.rotateSecret ?? undefined,
      }),
  }),
  deleteWebhook: t.field({
    type: WebhookResult,
    description: 'Deletes a webhook and its deliveries.',
    args: { input: t.arg({ type: DeleteWebhookInput, required: true, description: 'Which one.' }) },
    resolve: (_root, { input }, context) =>
      deleteWebhook(context.app, requestOf(context, input), input.webhookId),
  }),
  redeliver: t.field({
    type: RedeliverResult,
    description: 'Sends deliveries again, with the same message id and a new day of retries.',
    args: { input: t.arg({ type: RedeliverInput, required: true, description: 'What to send again.' }) },
    resolve: (_root, { input }, context) =>
      redeliver(context.app, requestOf(context, input), {
        deliveryId: input.deliveryId ?? null,
        webhookId: input.webhookId ?? null,
      }),
  }),
}));
