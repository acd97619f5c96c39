/** `serin webhooks`: who is sent the timeline, and what became of it. */
import { randomUUID } from 'node:crypto';
import type { Context } from './context.ts';
import { notFound, type Refused, refusal } from './exitCodes.ts';
import { noteMore, type Paged, readUpTo } from './paging.ts';
import { table } from './terminal.ts';
import { moment, words } from './words.ts';

interface WebhookView {
  readonly id: string;
  readonly url: string;
  readonly status: string;
  readonly strategyId: string | null;
  readonly eventTypes: readonly string[] | null;
  readonly pendingCount: number;
  readonly disabledReason: string | null;
  readonly description: string | null;
}

const WEBHOOK = 'id url status strategyId eventTypes pendingCount disabledReason description';
const LIST = `query ($first: Int!, $after: String) { webhooks(first: $first, after: $after) {
  nodes { ${WEBHOOK} } pageInfo { hasNextPage endCursor } } }`;

async function readWebhooks({ serin }: Context): Promise<WebhookView[]> {
  const { found } = await readUpTo(Number.POSITIVE_INFINITY, async (first, after) => {
    const page = await serin.query<{ webhooks: Paged<WebhookView> }>(LIST, { first, after });
    return page.webhooks;
  });
  return found;
}

export async function listWebhooks(context: Context): Promise<void> {
  const { terminal } = context;
  const all = await readWebhooks(context);
  if (terminal.json) terminal.value(all);
  else if (all.length === 0) terminal.line('There is no webhook: serin webhooks create URL makes one.');
  else {
    const lines = table(
      all,
      [
        { head: 'WEBHOOK', of: ({ id }) => id },
        {
          head: 'STATUS',
          of: ({ status, disabledReason }) => words(status) + (disabledReason ? `: ${disabledReason}` : ''),
        },
        { head: 'STRATEGY', of: ({ strategyId }) => strategyId ?? '*' },
        { head: 'EVENTS', of: ({ eventTypes }) => eventTypes?.map(words).join(', ') ?? '*', cut: true },
        { head: 'PENDING', of: ({ pendingCount }) => String(pendingCount), right: true },
        { head: 'URL', of: ({ url }) => url, cut: true },
      ],
      terminal,
    );
    for (const line of lines) terminal.line(line);
  }
}

interface WebhookResult extends Refused {
  readonly success: boolean;
  readonly secret?: string | null;
  readonly webhook: WebhookView | null;
}

const RESULTS = {
  createWebhook: `secret webhook { ${WEBHOOK} }`,
  updateWebhook: `secret webhook { ${WEBHOOK} }`,
  deleteWebhook: `webhook { ${WEBHOOK} }`,
  redeliver: `webhook { ${WEBHOOK} }`,
} as const;

/** One of the mutations on webhooks; the secret is printed alone on stdout, so that it can be kept by a script. */
export async function changeWebhook(
  mutation: keyof typeof RESULTS,
  input: Readonly<Record<string, unknown>>,
  { serin, terminal }: Context,
): Promise<void> {
  const type = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  const fields = `success message error { code message path } ${RESULTS[mutation]}`;
  const { result } = await serin.query<{ result: WebhookResult }>(
    `mutation ($input: ${type}!) { result: ${mutation}(input: $input) { ${fields} } }`,
    { input: { ...input, idempotencyKey: input.idempotencyKey ?? randomUUID() } },
  );
  if (terminal.json) terminal.value(result);
  if (!result.success) throw refusal(result);
  if (terminal.json) return;
  if (result.secret) {
    terminal.line(result.secret);
    terminal.note(result.message);
  } else terminal.line(result.message);
}

interface DeliveryView {
  readonly id: string;
  readonly messageId: string;
  readonly eventType: string;
  readonly status: string;
  readonly attemptCount: number;
  readonly createdAt: string;
  readonly nextAttemptAt: string | null;
  readonly attempts: readonly { readonly httpStatus: number | null; readonly error: string | null }[];
}

const DELIVERIES = `query ($webhookId: ID!, $first: Int!, $after: String) {
  webhookDeliveries(filter: { webhookId: $webhookId }, first: $first, after: $after) {
    nodes { id messageId eventType status attemptCount createdAt nextAttemptAt attempts { httpStatus error } }
    pageInfo { hasNextPage endCursor } } }`;

export async function listDeliveries(webhookId: string, limit: number, context: Context): Promise<void> {
  const { serin, terminal } = context;
  const { found: nodes, more } = await readUpTo(limit, async (first, after) => {
    const page = await serin.query<{ webhookDeliveries: Paged<DeliveryView> }>(DELIVERIES, {
      webhookId,
      first,
      after,
    });
    return page.webhookDeliveries;
  });
  if (nodes.length === 0 && !(await readWebhooks(context)).some(({ id }) => id === webhookId)) {
    throw notFound(
      `There is no webhook ${webhookId} (or this key may not see it): serin webhooks ls lists them`,
    );
  }
  if (terminal.json) terminal.value(nodes);
  else if (nodes.length === 0) terminal.line('Nothing was sent yet.');
  else {
    const lines = table(
      nodes,
      [
        { head: 'CREATED', of: ({ createdAt }) => moment(createdAt) },
        { head: 'DELIVERY', of: ({ id }) => id },
        { head: 'MESSAGE', of: ({ messageId }) => messageId, cut: true },
        { head: 'EVENT', of: ({ eventType }) => words(eventType) },
        { head: 'STATUS', of: ({ status }) => words(status) },
        { head: 'TRIES', of: ({ attemptCount }) => String(attemptCount), right: true },
        { head: 'LAST', of: ({ attempts }) => lastOf(attempts), cut: true },
      ],
      terminal,
    );
    for (const line of lines) terminal.line(line);
  }
  if (more) noteMore(terminal, limit);
}

function lastOf(attempts: DeliveryView['attempts']): string {
  const last = attempts.at(-1);
  if (!last) return '–';
  return last.error ?? `HTTP ${last.httpStatus}`;
}
