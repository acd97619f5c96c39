/** Queries of webhooks: finding, locking, writing one, and pages in the order of creation. */
import { and, asc, desc, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { EventType } from '../../core/lifecycle/events.ts';
import { inScope, type Scope } from '../access/strategyScope.ts';
import { lastSettledPosition } from '../log/eventLog.ts';
import { labelText } from '../log/incarnations.ts';
import type { LogPosition } from '../log/position.ts';
import { WEBHOOK_CREATION_LOCK } from '../postgres/advisoryLocks.ts';
import { convertRows } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { webhookDeliveries, webhooks } from '../tables/webhookTables.ts';

export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly description: string | null;
  /** Null: events of every strategy. */
  readonly strategyId: string | null;
  /** Null: events of every type. */
  readonly eventTypes: readonly EventType[] | null;
  /** Why it is disabled, as a message; null while it is enabled. */
  readonly disabledReason: string | null;
  /** Its position in the log: every matching event up to here has a delivery. */
  readonly cursor: LogPosition;
  /** When the secret before the last rotation stops signing; null if there is none. */
  readonly previousSecretUntil: number | null;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly updatedAt: number;
}

/** The columns, and the label of the cursor's incarnation. */
const ROW = {
  ...getTableColumns(webhooks),
  label: sql<string>`${sql.raw(labelText('webhooks.cursor_incarnation'))}`,
};

function toWebhook(row: typeof webhooks.$inferSelect & { readonly label: string }): Webhook {
  const { id, url, description, strategyId, eventTypes, disabledReason, createdBy } = row;
  return {
    id,
    url,
    description,
    strategyId,
    eventTypes,
    disabledReason,
    cursor: {
      incarnation: { number: row.cursorIncarnation, label: row.label },
      xid: BigInt(row.cursorXid),
      id: row.cursorId,
    },
    previousSecretUntil: row.previousSecretUntil?.getTime() ?? null,
    createdAt: row.createdAt.getTime(),
    createdBy,
    updatedAt: row.updatedAt.getTime(),
  };
}

export async function findWebhook(db: Queries, id: string): Promise<Webhook | null> {
  const [row] = await db.select(ROW).from(webhooks).where(eq(webhooks.id, id));
  return row ? toWebhook(row) : null;
}

/** Finds a webhook and locks it against other changes and against fan-out. */
export async function lockWebhook(tx: Queries, id: string): Promise<Webhook | null> {
  const [row] = await tx.select(ROW).from(webhooks).where(eq(webhooks.id, id)).for('update');
  return row ? toWebhook(row) : null;
}

/** The secrets of a JSON array that still sign, the oldest first. */
const signingEarlier = (secrets: SQL) => sql`(
  select coalesce(jsonb_agg(entry order by (entry->>'until')::timestamptz), '[]')
  from jsonb_array_elements(${secrets}) as entry
  where (entry->>'until')::timestamptz > clock_timestamp())`;

/** The secrets that sign messages now, the current one first and the oldest last. */
export async function signingSecrets(db: Queries, id: string): Promise<string[]> {
  const [row] = await db
    .select({
      current: webhooks.secret,
      previous: sql<string | null>`case when ${webhooks.previousSecretUntil} > clock_timestamp()
        then ${webhooks.previousSecret} end`,
      earlier: sql<{ readonly secret: string }[]>`${signingEarlier(sql`${webhooks.earlierSecrets}`)}`,
    })
    .from(webhooks)
    .where(eq(webhooks.id, id));
  if (!row) return [];
  const earlier = row.earlier.map(({ secret }) => secret).reverse();
  return [row.current, ...(row.previous === null ? [] : [row.previous]), ...earlier];
}

export interface NewWebhook
  extends Pick<Webhook, 'id' | 'url' | 'description' | 'strategyId' | 'eventTypes' | 'createdBy'> {
  readonly secret: string;
  /** The position to start after; null starts with events from now on. */
  readonly after: LogPosition | null;
}

/** Inserts a webhook; null if there are `limit` webhooks already. */
export async function insertWebhook(
  tx: Queries,
  { after, eventTypes, ...given }: NewWebhook,
  limit: number,
): Promise<Webhook | null> {
  await tx.execute(sql`select pg_advisory_xact_lock(${WEBHOOK_CREATION_LOCK})`);
  const [counted] = await tx.select({ count: sql<string>`count(*)` }).from(webhooks);
  if (Number(counted?.count ?? 0) >= limit) return null;
  const { incarnation, xid, id } = after ?? (await lastSettledPosition(tx));
  const [row] = await tx
    .insert(webhooks)
    .values({
      ...given,
      eventTypes: eventTypes && [...eventTypes],
      status: 'ENABLED',
      cursorIncarnation: incarnation.number,
      cursorXid: xid.toString(),
      cursorId: id,
    })
    .returning(ROW);
  if (!row) throw new Error(`webhook ${given.id} was not inserted`);
  return toWebhook(row);
}

export interface WebhookChange {
  readonly url?: string | undefined;
  readonly description?: string | null | undefined;
  readonly eventTypes?: readonly EventType[] | null | undefined;
  /** Null enables it. */
  readonly disabledReason?: string | null | undefined;
  /** Replaces the secret; the old one signs too for `overlapSeconds`, and those before it until their own time. */
  readonly rotation?: { readonly secret: string; readonly overlapSeconds: number } | undefined;
}

/** Writes the given fields of a change; undefined fields stay as they are. */
export async function saveWebhook(
  tx: Queries,
  id: string,
  { eventTypes, disabledReason, rotation, ...plain }: WebhookChange,
): Promise<Webhook | null> {
  const [row] = await tx
    .update(webhooks)
    .set({
      ...plain,
      ...(eventTypes === undefined ? {} : { eventTypes: eventTypes && [...eventTypes] }),
      ...(disabledReason === undefined
        ? {}
        : { disabledReason, status: disabledReason === null ? 'ENABLED' : 'DISABLED' }),
      ...(rotation === undefined
        ? {}
        : {
            secret: rotation.secret,
            earlierSecrets: signingEarlier(sql`${webhooks.earlierSecrets} || case
              when ${webhooks.previousSecret} is null then '[]'::jsonb
              else jsonb_build_object(
                'secret', ${webhooks.previousSecret}, 'until', ${webhooks.previousSecretUntil}) end`),
            previousSecret: sql`${webhooks.secret}`,
            previousSecretUntil: sql`clock_timestamp() + make_interval(secs => ${rotation.overlapSeconds})`,
          }),
      updatedAt: sql`clock_timestamp()`,
    })
    .where(eq(webhooks.id, id))
    .returning(ROW);
  return row ? toWebhook(row) : null;
}

/** Removes a webhook with its deliveries. */
export async function deleteWebhook(tx: Queries, id: string): Promise<void> {
  await tx.delete(webhooks).where(eq(webhooks.id, id));
}

/** The position of a webhook in the list: its creation time, epoch milliseconds, and its id. */
export interface WebhookPosition {
  readonly at: number;
  readonly id: string;
}

export interface WebhookPage {
  readonly strategyId?: string | undefined;
  /** Only webhooks of strategies in this scope. */
  readonly scope: Scope;
  readonly limit: number;
  readonly after?: WebhookPosition | undefined;
  readonly before?: WebhookPosition | undefined;
  readonly fromEnd: boolean;
}

/** A page of webhooks, oldest first. */
export async function pageWebhooks(db: Queries, page: WebhookPage): Promise<Webhook[]> {
  const direction = page.fromEnd ? desc : asc;
  const beyond = (operator: SQL, position: WebhookPosition | undefined) =>
    position &&
    sql`(${webhooks.createdAt}, ${webhooks.id}) ${operator}
      (${new Date(position.at).toISOString()}::timestamptz, ${position.id})`;
  const rows = await db
    .select(ROW)
    .from(webhooks)
    .where(
      and(
        page.strategyId === undefined ? undefined : eq(webhooks.strategyId, page.strategyId),
        inScope(webhooks.strategyId, page.scope),
        beyond(sql`>`, page.after),
        beyond(sql`<`, page.before),
      ),
    )
    .orderBy(direction(webhooks.createdAt), direction(webhooks.id))
    .limit(page.limit);
  const found = await convertRows(rows, toWebhook);
  return page.fromEnd ? found.reverse() : found;
}

/** The number of a webhook's pending deliveries. */
export async function countPending(db: Queries, webhookId: string): Promise<number> {
  const [row] = await db
    .select({ count: sql<string>`count(*)` })
    .from(webhookDeliveries)
    .where(and(eq(webhookDeliveries.webhookId, webhookId), eq(webhookDeliveries.status, 'PENDING')));
  return Number(row?.count ?? 0);
}
