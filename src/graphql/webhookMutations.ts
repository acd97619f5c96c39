/** The mutations of webhooks. They translate; the use cases decide. */
import {
  createWebhook,
  deleteWebhook,
  redeliver,
  updateWebhook,
  type WebhookAnswer,
  type WebhookRequest,
} from '../app/webhooks.ts';
import { parseCursor } from '../store/log/eventLog.ts';
import { builder, type Context } from './builder.ts';
import { EventTypeEnum } from './event.ts';
import { KEY } from './lifecycle.ts';
import { readCursor } from './paging.ts';
import { DomainError } from './results.ts';
import { WebhookRef } from './webhooks.ts';

const WEBHOOK = 'The webhook.';

const CreateWebhookInput = builder.inputType('CreateWebhookInput', {
  description: 'A new webhook.',
  fields: (t) => ({
    url: t.string({
      required: true,
      description: 'Where to send events: http(s), and no address inside unless the server allows it.',
    }),
    description: t.string({ description: 'What it is for.' }),
    strategyId: t.id({ description: 'Only events of this strategy; of all unless given.' }),
    eventTypes: t.field({
      type: [EventTypeEnum],
      description: 'Only events of these types; of all unless given.',
    }),
    after: t.string({
      description: 'A cursor of the log to begin behind ("0" is the beginning); from now on unless given.',
    }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const UpdateWebhookInput = builder.inputType('UpdateWebhookInput', {
  description: 'A change of a webhook; what is left out stays as it is.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: WEBHOOK }),
    url: t.string({ description: 'Where to send events from now on.' }),
    description: t.string({ description: 'What it is for; null takes it away.' }),
    eventTypes: t.field({
      type: [EventTypeEnum],
      description: 'Only events of these types; null: of all. What is already to be delivered stays so.',
    }),
    enabled: t.boolean({
      description: 'False stops sending, true goes on where it stopped; what expired meanwhile gets one try.',
    }),
    rotateSecret: t.boolean({
      description: 'True makes a new secret; the old one signs beside it for 24 hours.',
    }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const DeleteWebhookInput = builder.inputType('DeleteWebhookInput', {
  description: 'Ends a webhook.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: WEBHOOK }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const RedeliverInput = builder.inputType('RedeliverInput', {
  description: 'What to send again: give one of the two.',
  fields: (t) => ({
    deliveryId: t.id({ description: 'This delivery, whatever became of it.' }),
    webhookId: t.id({ description: 'All deliveries of this webhook that failed.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const WebhookMutationResult = builder.interfaceRef<WebhookAnswer>('WebhookMutationResult').implement({
  description: 'What every mutation of webhooks answers.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether it was done. What was done is on disk.',
      resolve: ({ refusal }) => refusal === null,
    }),
    replayed: t.exposeBoolean('replayed', {
      description: 'Whether this is the first answer again, because the idempotency key was seen before.',
    }),
    message: t.exposeString('message', { description: 'What happened, for people.' }),
    error: t.expose('refusal', {
      type: DomainError,
      nullable: true,
      description: 'Why it was refused; null when it was done.',
    }),
    webhook: t.expose('webhook', {
      type: WebhookRef,
      nullable: true,
      description: 'The webhook after it; null when there is none.',
    }),
  }),
});

const WebhookResult = builder.objectRef<WebhookAnswer>('WebhookResult').implement({
  description: 'The answer of a mutation of one webhook.',
  interfaces: [WebhookMutationResult],
  fields: (t) => ({
    secret: t.exposeString('secret', {
      nullable: true,
      description:
        'The secret to check signatures with (`whsec_…`), in the answer that made it and never again: keep it.',
    }),
  }),
});

const RedeliverResult = builder.objectRef<WebhookAnswer>('RedeliverResult').implement({
  description: 'The answer of `redeliver`.',
  interfaces: [WebhookMutationResult],
  fields: (t) => ({
    scheduled: t.exposeInt('scheduled', { description: 'How many deliveries are sent again.' }),
  }),
});

const requestOf = (
  { actor }: Context,
  { idempotencyKey }: { readonly idempotencyKey?: string | null | undefined },
): WebhookRequest => ({ actor, idempotencyKey: idempotencyKey ?? null });

builder.mutationFields((t) => ({
  createWebhook: t.field({
    type: WebhookResult,
    description: 'Has events of the timeline sent to a URL. The answer holds the secret that signs them.',
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
    description: 'Changes a webhook: its URL, its types, its secret; stops it, or lets it go on.',
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
    description: 'Ends a webhook and forgets its deliveries.',
    args: { input: t.arg({ type: DeleteWebhookInput, required: true, description: 'Which one.' }) },
    resolve: (_root, { input }, context) =>
      deleteWebhook(context.app, requestOf(context, input), input.webhookId),
  }),
  redeliver: t.field({
    type: RedeliverResult,
    description: 'Sends again, with the same message id and a new day of retries.',
    args: { input: t.arg({ type: RedeliverInput, required: true, description: 'What to send again.' }) },
    resolve: (_root, { input }, context) =>
      redeliver(context.app, requestOf(context, input), {
        deliveryId: input.deliveryId ?? null,
        webhookId: input.webhookId ?? null,
      }),
  }),
}));
