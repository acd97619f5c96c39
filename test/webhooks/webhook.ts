/** Webhooks through the API. */
import { randomUUID } from 'node:crypto';
import type { Data, TestSerin } from '../harness/serin.ts';

const FIELDS = `success replayed message error { code message path }
  webhook { id url status disabledReason strategyId eventTypes description pendingCount previousSecretUntil }`;

export async function createWebhook(serin: TestSerin, input: Record<string, unknown>): Promise<Data> {
  const data = await serin.ask(
    `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { ${FIELDS} secret } }`,
    { input: { idempotencyKey: randomUUID(), ...input } },
  );
  return data.createWebhook;
}

export async function updateWebhook(serin: TestSerin, input: Record<string, unknown>): Promise<Data> {
  const data = await serin.ask(
    `mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { ${FIELDS} secret } }`,
    { input },
  );
  return data.updateWebhook;
}

export async function redeliver(serin: TestSerin, input: Record<string, unknown>): Promise<Data> {
  const data = await serin.ask(
    `mutation($input: RedeliverInput!) { redeliver(input: $input) { ${FIELDS} scheduled } }`,
    { input },
  );
  return data.redeliver;
}

export async function deliveriesOf(
  serin: TestSerin,
  webhookId: string,
  more: Record<string, unknown> = {},
): Promise<Data[]> {
  const data = await serin.ask(
    `query($filter: WebhookDeliveryFilter!) { webhookDeliveries(filter: $filter, first: 200) { nodes {
      id messageId deploymentId eventNo eventType status attemptCount nextAttemptAt settledAt
      attempts { number httpStatus error durationMs nextAttemptAt } } } }`,
    { filter: { webhookId, ...more } },
  );
  return data.webhookDeliveries.nodes;
}

/** Moves every retry of a webhook to now, as if its pause were over. */
export async function hurry(serin: TestSerin, webhookId: string): Promise<void> {
  await serin.database.sql`
    update webhook_deliveries set next_attempt_at = clock_timestamp()
    where webhook_id = ${webhookId} and status = 'PENDING'`;
}
