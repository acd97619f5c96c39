/**
 * Webhooks as their owner manages them: create, change, delete, and send again. A secret is shown when it is made,
 * and again to a retry of that very request.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { canSee } from '../access/actor.ts';
import { beyondScope } from '../access/permissions.ts';
import type { EventType } from '../core/lifecycle/events.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import { describeViolations, type Violation } from '../core/values/violation.ts';
import {
  type Cursor,
  findPosition,
  HistoryRewound,
  isAfter,
  LOG_START,
  type LogPosition,
} from '../store/log/position.ts';
import { holdRetention, isBehindArchive } from '../store/log/retention.ts';
import type { Queries } from '../store/postgres/database.ts';
import { findDelivery, scheduleAgain } from '../store/webhooks/deliveries.ts';
import {
  deleteWebhook as dropWebhook,
  findWebhook,
  insertWebhook,
  lockWebhook,
  saveWebhook,
  signingSecrets,
  type Webhook,
} from '../store/webhooks/webhooks.ts';
import type { Actor, App } from './context.ts';
import { type AnswerCodec, refusalCodec, runIdempotent } from './execution/idempotency.ts';

const MAX_WEBHOOKS = 100;
const MAX_DESCRIPTION = 500;
/** How long the old secret signs beside a new one. */
const ROTATION_HOURS = 24;

const timelineOf = ({ strategyId }: Pick<Webhook, 'strategyId'>) => ({
  timelineOnly: true,
  strategyId: strategyId ?? undefined,
});
const MISSED = 'Events that it would have to send were archived meanwhile';

export interface WebhookAnswer {
  /** Null when it was done. */
  readonly refusal: Refusal | null;
  readonly message: string;
  readonly webhook: Webhook | null;
  /** The secret that was just made. */
  readonly secret: string | null;
  /** How many deliveries were scheduled. */
  readonly scheduled: number;
  readonly replayed: boolean;
}

const done = (
  message: string,
  webhook: Webhook | null,
  more: Partial<WebhookAnswer> = {},
): WebhookAnswer => ({
  refusal: null,
  message,
  webhook,
  secret: null,
  scheduled: 0,
  replayed: false,
  ...more,
});

const refused = (refusal: Refusal, webhook: Webhook | null = null): WebhookAnswer => ({
  ...done(refusal.message, webhook),
  refusal,
});

const invalid = (violations: readonly Violation[]): WebhookAnswer =>
  refused(refusal('INVALID_INPUT', describeViolations(violations), violations[0]?.path ?? []));

const notFound = (id: string) => refused(refusal('NOT_FOUND', `There is no webhook ${id}`, ['webhookId']));

const keptCodec = z.strictObject({
  refusal: refusalCodec.nullable(),
  message: z.string(),
  webhookId: z.string().nullable(),
  /** The secret itself is not kept twice: a retry is shown it while it signs. */
  secretMade: z.boolean(),
  scheduled: z.int(),
});

const codec: AnswerCodec<WebhookAnswer> = {
  encode: ({ refusal, message, webhook, secret, scheduled }) =>
    keptCodec.encode({
      refusal,
      message,
      webhookId: webhook?.id ?? null,
      secretMade: secret !== null,
      scheduled,
    }),
  async decode(db, answer) {
    const { refusal, message, webhookId, secretMade, scheduled } = keptCodec.parse(answer);
    const webhook = webhookId === null ? null : await findWebhook(db, webhookId);
    const [current] = webhook && secretMade ? await signingSecrets(db, webhook.id) : [];
    return { refusal, message, webhook, secret: current ?? null, scheduled, replayed: true };
  },
  refused,
  visibleTo: (_actor, answer) => answer,
};

/** Whether a webhook is there for an actor: one of all strategies is there for those who see all. */
export function seesWebhook(actor: Actor, { strategyId }: Pick<Webhook, 'strategyId'>): boolean {
  return strategyId === null ? actor.strategies === null : canSee(actor, strategyId);
}

/** Who asks, and the idempotency key of the request. */
export interface WebhookRequest {
  readonly actor: Actor;
  readonly idempotencyKey: string | null;
}

export interface NewWebhookInput {
  readonly url: string;
  readonly description: string | null;
  readonly strategyId: string | null;
  readonly eventTypes: readonly EventType[] | null;
  /** A place in the log to begin behind; null begins now. */
  readonly after: Cursor | null;
}

export async function createWebhook(
  app: App,
  request: WebhookRequest,
  input: NewWebhookInput,
): Promise<WebhookAnswer> {
  const { url, description, strategyId } = input;
  const { actor } = request;
  if (!seesWebhook(actor, input)) throw beyondScope(actor, strategyId ?? 'all of them');
  const violations = await violationsOf(app, input);
  if (violations.length > 0) return invalid(violations);
  const kept = { ...input, after: input.after && textsOf(input.after) };
  return runIdempotent(app, { ...request, operation: 'createWebhook', input: kept }, codec, async (tx) => {
    await holdRetention(tx);
    const after = input.after && (await positionOf(tx, input.after, actor));
    if (after instanceof HistoryRewound) {
      return refused(refusal('HISTORY_REWOUND', after.message, ['after']));
    }
    if (after && isAfter(after, LOG_START) && (await isBehindArchive(tx, after, timelineOf(input)))) {
      return refused(refusal('CURSOR_TOO_OLD', `${MISSED}: begin behind "0", or now`, ['after']));
    }
    const secret = newSecret();
    const id = `wh_${randomBytes(10).toString('hex')}`;
    const eventTypes = distinct(input.eventTypes);
    const createdBy = actor.name;
    const made = { id, url, description, strategyId, eventTypes, createdBy, secret, after };
    const webhook = await insertWebhook(tx, made, MAX_WEBHOOKS);
    if (!webhook) {
      const message = `There are ${MAX_WEBHOOKS} webhooks already, as many as there may be: delete one first`;
      return refused(refusal('LIMIT_REACHED', message));
    }
    return done(`Webhook ${id} created: keep its secret, it is not shown again`, webhook, { secret });
  });
}

/** The position of a cursor, or why there is none. */
async function positionOf(db: Queries, cursor: Cursor, actor: Actor): Promise<LogPosition | HistoryRewound> {
  try {
    return await findPosition(db, cursor, actor.strategies);
  } catch (error) {
    if (error instanceof HistoryRewound) return error;
    throw error;
  }
}

/** A cursor as an answer is kept under it. */
const textsOf = ({ label, xid, id }: Cursor) => [...(label === null ? [] : [label]), String(xid), String(id)];

export interface WebhookChangeInput {
  readonly webhookId: string;
  /** What is undefined stays as it is. */
  readonly url?: string | undefined;
  readonly description?: string | null | undefined;
  readonly eventTypes?: readonly EventType[] | null | undefined;
  readonly enabled?: boolean | undefined;
  readonly rotateSecret?: boolean | undefined;
}

export async function updateWebhook(
  app: App,
  request: WebhookRequest,
  input: WebhookChangeInput,
): Promise<WebhookAnswer> {
  const { webhookId, url, description, eventTypes, enabled, rotateSecret } = input;
  const violations = await violationsOf(app, input);
  if (violations.length > 0) return invalid(violations);
  return runIdempotent(app, { ...request, operation: 'updateWebhook', input }, codec, async (tx) => {
    const before = await lockWebhook(tx, webhookId);
    if (!before || !seesWebhook(request.actor, before)) return notFound(webhookId);
    await holdRetention(tx);
    if (
      enabled &&
      before.disabledReason !== null &&
      (await isBehindArchive(tx, before.cursor, timelineOf(before)))
    ) {
      const message = `${MISSED}: delete this webhook and create another from a later cursor`;
      return refused(refusal('CURSOR_TOO_OLD', message, ['enabled']), before);
    }
    const secret = rotateSecret ? newSecret() : null;
    const byHand = `Disabled by ${request.actor.name}. Enable it to go on where it stopped`;
    const webhook = await saveWebhook(tx, webhookId, {
      url,
      description,
      eventTypes: eventTypes && distinct(eventTypes),
      disabledReason: enabled === undefined ? undefined : enabled ? null : (before.disabledReason ?? byHand),
      rotation: secret === null ? undefined : { secret, overlapSeconds: ROTATION_HOURS * 3600 },
    });
    const rotated = secret === null ? '' : `; the old secret signs too for ${ROTATION_HOURS} hours`;
    return done(`Webhook ${webhookId} changed${rotated}`, webhook, { secret });
  });
}

/** Deletes a webhook with the record of its deliveries. */
export async function deleteWebhook(
  app: App,
  request: WebhookRequest,
  webhookId: string,
): Promise<WebhookAnswer> {
  return runIdempotent(
    app,
    { ...request, operation: 'deleteWebhook', input: { webhookId } },
    codec,
    async (tx) => {
      const webhook = await lockWebhook(tx, webhookId);
      if (!webhook || !seesWebhook(request.actor, webhook)) return notFound(webhookId);
      await dropWebhook(tx, webhookId);
      return done(`Webhook ${webhookId} deleted`, webhook);
    },
  );
}

/** One of the two: a delivery, or all that failed of a webhook. */
export interface Redelivery {
  readonly deliveryId: string | null;
  readonly webhookId: string | null;
}

/** Sends again, with a new day of retries. */
export async function redeliver(
  app: App,
  request: WebhookRequest,
  input: Redelivery,
): Promise<WebhookAnswer> {
  const { deliveryId } = input;
  if ((deliveryId === null) === (input.webhookId === null)) {
    return invalid([{ path: ['deliveryId'], message: 'or webhookId must be given, and not both' }]);
  }
  return runIdempotent(app, { ...request, operation: 'redeliver', input }, codec, async (tx) => {
    const delivery = deliveryId === null ? null : await findDelivery(tx, parseDeliveryId(deliveryId));
    const webhook = await findWebhook(tx, input.webhookId ?? delivery?.webhookId ?? '');
    const seen = webhook && seesWebhook(request.actor, webhook);
    if (!seen && deliveryId !== null) {
      const message = `There is no delivery ${deliveryId}: settled ones are kept for a week`;
      return refused(refusal('NOT_FOUND', message, ['deliveryId']));
    }
    if (!seen) return notFound(input.webhookId ?? '');
    const { id } = webhook;
    const scheduled = await scheduleAgain(tx, delivery ? { seq: delivery.seq } : { failedOf: id });
    const waits = webhook.disabledReason === null ? '' : ' once the webhook is enabled';
    const message = `${scheduled} deliveries of webhook ${id} are sent again${waits}`;
    return done(message, webhook, { scheduled });
  });
}

/** Deliveries are named by their number. */
export const formatDeliveryId = (seq: bigint) => `whd_${seq}`;

/** 0, which none has, where it is no such id. */
function parseDeliveryId(id: string): bigint {
  return BigInt(/^whd_(\d{1,18})$/.exec(id)?.[1] ?? 0);
}

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

const distinct = (types: readonly EventType[] | null) => types && [...new Set(types)];

async function violationsOf(
  app: App,
  { url, description, eventTypes }: Pick<WebhookChangeInput, 'url' | 'description' | 'eventTypes'>,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const wrongUrl = url === undefined ? null : await app.refuseTarget(url);
  if (wrongUrl !== null) violations.push({ path: ['url'], message: wrongUrl });
  if (description && description.length > MAX_DESCRIPTION) {
    const message = `must have at most ${MAX_DESCRIPTION} characters, got ${description.length}`;
    violations.push({ path: ['description'], message });
  }
  if (eventTypes?.length === 0) {
    violations.push({ path: ['eventTypes'], message: 'must name a type; leave it out for all of them' });
  }
  return violations;
}
