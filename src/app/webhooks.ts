/**
 * The use cases of webhooks: create, change, delete, and redeliver. A secret is shown when it is created, and again to a
 * retry with the same idempotency key.
 */
import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { canSee } from '../access/actor.ts';
import { beyondScope } from '../access/permissions.ts';
import type { EventType } from '../core/lifecycle/events.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import { parseStored } from '../core/values/stored.ts';
import type { Violation } from '../core/values/violation.ts';
import { type AuditAction, appendAuditRecord } from '../store/access/audit.ts';
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
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { findDelivery, restartPending, scheduleAgain } from '../store/webhooks/deliveries.ts';
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
import { type AnswerCodec, type Requester, refusalCodec, runIdempotent } from './execution/idempotency.ts';

const MAX_WEBHOOKS = 100;
const MAX_DESCRIPTION = 500;
/** How long the old secret signs too after a rotation. */
const ROTATION_HOURS = 24;
/** Secrets that sign at the same time: each replaced one signs for as long as its rotation promised. */
const MAX_SIGNING_SECRETS = 10;

/** The events that a webhook may send, whatever their types. */
const timelineOf = ({ strategyId }: Pick<Webhook, 'strategyId'>) => ({
  timelineOnly: true,
  strategyId: strategyId ?? undefined,
  scope: null,
});
const MISSED = 'Events that the webhook would have to send have been archived';

export interface WebhookAnswer {
  /** Null if the use case was executed. */
  readonly refusal: Refusal | null;
  readonly message: string;
  readonly webhook: Webhook | null;
  /** The secret, if this request created one. */
  readonly secret: string | null;
  /** The number of scheduled deliveries. */
  readonly scheduled: number;
  /** Whether this is the stored answer of an earlier request with the same idempotency key. */
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

const invalid = (violations: readonly Violation[]): WebhookAnswer => refused(invalidInput(violations));

const notFound = (id: string) => refused(refusal('NOT_FOUND', `There is no webhook ${id}`, ['webhookId']));

const storedCodec = z.strictObject({
  refusal: refusalCodec.nullable(),
  message: z.string(),
  webhookId: z.string().nullable(),
  /** Whether a secret was created. The secret itself is not stored again: a retry reads it from the webhook. */
  secretMade: z.boolean(),
  /** SHA-256 of that secret: a retry shows the webhook's secret only if it is still this one. */
  secretHash: z.string().nullable().optional(),
  scheduled: z.int(),
});

const codec: AnswerCodec<WebhookAnswer> = {
  encode: ({ refusal, message, webhook, secret, scheduled }) =>
    storedCodec.encode({
      refusal,
      message,
      webhookId: webhook?.id ?? null,
      secretMade: secret !== null,
      secretHash: secret && hashOf(secret),
      scheduled,
    }),
  async decode(db, answer) {
    const { refusal, message, webhookId, secretMade, secretHash, scheduled } = parseStored(
      storedCodec,
      answer,
    );
    const webhook = webhookId === null ? null : await findWebhook(db, webhookId);
    const [current] = webhook && secretMade ? await signingSecrets(db, webhook.id) : [];
    const secret = current !== undefined && hashOf(current) === secretHash ? current : null;
    return { refusal, message, webhook, secret, scheduled, replayed: true };
  },
  refused,
  visibleTo: (actor, answer) =>
    answer.webhook && !seesWebhook(actor, answer.webhook) ? notFound(answer.webhook.id) : answer,
};

const hashOf = (secret: string) => hash('sha256', secret, 'hex');

/** Whether an actor may see a webhook. A webhook of all strategies is visible only to actors who may see all. */
export function seesWebhook(actor: Actor, { strategyId }: Pick<Webhook, 'strategyId'>): boolean {
  return strategyId === null ? actor.strategies === null : canSee(actor, strategyId);
}

export interface NewWebhookInput {
  readonly url: string;
  readonly description: string | null;
  readonly strategyId: string | null;
  readonly eventTypes: readonly EventType[] | null;
  /** The position in the log to start after; null starts with events from now on. */
  readonly after: Cursor | null;
}

/**
 * Creates a webhook.
 * @throws {Forbidden} if its strategies are outside the actor's scope
 */
export async function createWebhook(
  app: App,
  request: Requester,
  input: NewWebhookInput,
): Promise<WebhookAnswer> {
  const { url, description, strategyId } = input;
  const { actor } = request;
  if (!seesWebhook(actor, input)) throw beyondScope(actor, strategyId ?? 'all of them');
  const violations = await violationsOf(app, input);
  if (violations.length > 0) return invalid(violations);
  const keyed = { ...input, after: input.after && textsOf(input.after) };
  const create = async (tx: LogWriteTransaction): Promise<WebhookAnswer> => {
    await holdRetention(tx);
    const after = input.after && (await positionOf(tx, input.after, actor));
    if (after instanceof HistoryRewound) {
      return refused(refusal('HISTORY_REWOUND', after.message, ['after']));
    }
    if (after && isAfter(after, LOG_START) && (await isBehindArchive(tx, after, timelineOf(input)))) {
      return refused(
        refusal('CURSOR_TOO_OLD', `${MISSED}: start after "0", or leave it out to start now`, ['after']),
      );
    }
    const secret = newSecret();
    const id = `wh_${randomBytes(10).toString('hex')}`;
    const eventTypes = distinct(input.eventTypes);
    const createdBy = actor.name;
    const made = { id, url, description, strategyId, eventTypes, createdBy, secret, after };
    const webhook = await insertWebhook(tx, made, MAX_WEBHOOKS);
    if (!webhook) {
      const message = `There are already ${MAX_WEBHOOKS} webhooks, the maximum: delete one first`;
      return refused(refusal('LIMIT_REACHED', message));
    }
    await audit(tx, actor, 'WEBHOOK_CREATED', webhook, { eventTypes });
    return done(`Webhook ${id} created: store its secret, it is not shown again`, webhook, { secret });
  };
  const once = { ...request, operation: 'createWebhook', input: keyed };
  const askedAt = performance.now();
  // Creations wait for each other in the database. Here one waits for all of this node, so that many cannot take every
  // connection. No deployment has an id with a space.
  return app.inDeploymentOrder('creation of webhooks', () =>
    runIdempotent(app, once, codec, create, askedAt),
  );
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

/** A cursor in the form that is hashed for idempotency. */
const textsOf = ({ label, xid, id }: Cursor) => [...(label === null ? [] : [label]), String(xid), String(id)];

export interface WebhookChangeInput {
  readonly webhookId: string;
  /** Undefined fields stay as they are. */
  readonly url?: string | undefined;
  readonly description?: string | null | undefined;
  readonly eventTypes?: readonly EventType[] | null | undefined;
  readonly enabled?: boolean | undefined;
  readonly rotateSecret?: boolean | undefined;
}

/**
 * Changes a webhook. Enabling it continues after the last event that it has taken from the log. What waits is sent at once,
 * with a new day of retries, when it is enabled or has another address.
 */
export async function updateWebhook(
  app: App,
  request: Requester,
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
    if (rotateSecret && (await signingSecrets(tx, webhookId)).length >= MAX_SIGNING_SECRETS) {
      const message = `${MAX_SIGNING_SECRETS} secrets of this webhook sign at the moment, each for ${ROTATION_HOURS} hours: rotate again later`;
      return refused(refusal('LIMIT_REACHED', message, ['rotateSecret']), before);
    }
    const secret = rotateSecret ? newSecret() : null;
    const reason = `Disabled by ${request.actor.name}. Enable it to continue where it stopped`;
    const webhook = await saveWebhook(tx, webhookId, {
      url,
      description,
      eventTypes: eventTypes && distinct(eventTypes),
      disabledReason: enabled === undefined ? undefined : enabled ? null : (before.disabledReason ?? reason),
      rotation: secret === null ? undefined : { secret, overlapSeconds: ROTATION_HOURS * 3600 },
    });
    // How often an earlier address failed, or one that was away, says nothing of the receiver that is there now.
    const comesBack = enabled === true && before.disabledReason !== null;
    if (comesBack || (url !== undefined && url !== before.url)) await restartPending(tx, webhookId);
    const changed = { url: url !== undefined, description, eventTypes, enabled, rotateSecret };
    await audit(tx, request.actor, 'WEBHOOK_UPDATED', webhook ?? before, changed);
    const rotated =
      secret === null
        ? ''
        : `: store its new secret, it is not shown again; the old one signs too for ${ROTATION_HOURS} hours`;
    return done(`Webhook ${webhookId} changed${rotated}`, webhook, { secret });
  });
}

/** Deletes a webhook and its deliveries. */
export async function deleteWebhook(app: App, request: Requester, webhookId: string): Promise<WebhookAnswer> {
  return runIdempotent(
    app,
    { ...request, operation: 'deleteWebhook', input: { webhookId } },
    codec,
    async (tx) => {
      const webhook = await lockWebhook(tx, webhookId);
      if (!webhook || !seesWebhook(request.actor, webhook)) return notFound(webhookId);
      await dropWebhook(tx, webhookId);
      await audit(tx, request.actor, 'WEBHOOK_DELETED', webhook, {});
      return done(`Webhook ${webhookId} deleted`, webhook);
    },
  );
}

/** Exactly one of the two: a delivery, or a webhook, for all its failed deliveries. */
export interface Redelivery {
  readonly deliveryId: string | null;
  readonly webhookId: string | null;
}

/** Schedules one delivery, or all failed ones of a webhook, again with a new day of retries. */
export async function redeliver(app: App, request: Requester, input: Redelivery): Promise<WebhookAnswer> {
  const { deliveryId } = input;
  if ((deliveryId === null) === (input.webhookId === null)) {
    return invalid([{ path: ['deliveryId'], message: 'or webhookId must be given, but not both' }]);
  }
  return runIdempotent(app, { ...request, operation: 'redeliver', input }, codec, async (tx) => {
    const delivery = deliveryId === null ? null : await findDelivery(tx, parseDeliveryId(deliveryId));
    const webhook = await findWebhook(tx, input.webhookId ?? delivery?.webhookId ?? '');
    const visible = webhook && seesWebhook(request.actor, webhook);
    if (!visible && deliveryId !== null) {
      const message = `There is no delivery ${deliveryId}: settled deliveries are deleted after a week`;
      return refused(refusal('NOT_FOUND', message, ['deliveryId']));
    }
    if (!visible) return notFound(input.webhookId ?? '');
    const { id } = webhook;
    const scheduled = await scheduleAgain(tx, delivery ? { seq: delivery.seq } : { failedOf: id });
    await audit(tx, request.actor, 'WEBHOOK_REDELIVERED', webhook, { deliveryId, scheduled });
    const condition = webhook.disabledReason === null ? '' : ' once the webhook is enabled';
    const what = scheduled === 1 ? '1 delivery' : `${scheduled} deliveries`;
    const message = `${what} of webhook ${id} to send again${condition}`;
    return done(message, webhook, { scheduled });
  });
}

/** Its secrets are in no record, and of its address only where it is: a path may hold a token. */
async function audit(
  tx: Queries,
  actor: Actor,
  action: Extract<AuditAction, `WEBHOOK_${string}`>,
  { id, url, strategyId }: Pick<Webhook, 'id' | 'url' | 'strategyId'>,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  await appendAuditRecord(tx, {
    actor: actor.name,
    action,
    subject: id,
    strategies: strategyId === null ? null : [strategyId],
    details: { origin: new URL(url).origin, ...details },
  });
}

/** The id of a delivery for clients. */
export const formatDeliveryId = (seq: bigint) => `whd_${seq}`;

/** The number of a delivery from its id; 0, which no delivery has, if the id is not valid. */
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
    violations.push({
      path: ['eventTypes'],
      message: 'must contain at least one type; leave it out for all types',
    });
  }
  return violations;
}
