/** The trades of a side, the book of what they add up to, and the checkpoints of its equity curve. */
import { and, desc, eq, gt, gte, inArray, lte, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { RecordedTrade } from '../../core/metrics/trade.ts';
import { type Curve, NO_TRADES, type TradeStatistics } from '../../core/metrics/tradeStatistics.ts';
import { countCodec, decimalCodec } from '../../core/values/codecs.ts';
import { type Decimal, decimal, formatDecimal } from '../../core/values/decimal.ts';
import { parseStored } from '../../core/values/stored.ts';
import { pageOf, streamArchived } from '../log/archive.ts';
import { BORN, bornOf, isOf } from '../log/partitions.ts';
import type { Queries } from '../postgres/database.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { tradeBooks, tradeCheckpoints, tradeSide, trades } from '../tables/tables.ts';
import type { SideKey } from './sideMetrics.ts';

const curveCodec = z.strictObject({
  at: countCodec,
  moved: decimalCodec,
  equity: decimalCodec,
  peak: decimalCodec,
  maxDrawdown: decimalCodec,
  sinceCheckpoint: countCodec,
}) satisfies z.ZodType<Curve>;

const tradeStatisticsCodec = z.strictObject({
  totals: z.strictObject({
    trades: countCodec,
    errors: countCodec,
    wins: countCodec,
    pnlUsd: decimalCodec,
    feesUsd: decimalCodec,
    gasUsd: decimalCodec,
    notionalUsd: decimalCodec,
    sized: countCodec,
    returns: decimalCodec,
    squares: decimalCodec,
  }),
  curve: curveCodec,
}) satisfies z.ZodType<TradeStatistics>;

const readTradeStatistics = ({ deploymentId, side }: SideKey) =>
  and(eq(tradeBooks.deploymentId, deploymentId), eq(tradeBooks.side, side));
const tradesOf = ({ deploymentId, side }: SideKey) => and(isOf(trades, deploymentId), eq(trades.side, side));
/** The same trades, by the index in order of time. */
const inOrderOfTime = ({ deploymentId, side }: SideKey) =>
  and(eq(tradeSide(trades), `${deploymentId}/${side}`), eq(trades.born, bornOf(deploymentId)));
const checkpointsOf = ({ deploymentId, side }: SideKey) =>
  and(eq(tradeCheckpoints.deploymentId, deploymentId), eq(tradeCheckpoints.side, side));

/** The book of a side; null where it is not measured by its trades. */
export async function findTradeStatistics(db: Queries, key: SideKey): Promise<TradeStatistics | null> {
  const [found] = await db.select({ book: tradeBooks.book }).from(tradeBooks).where(readTradeStatistics(key));
  return found ? parseStored(tradeStatisticsCodec, found.book) : null;
}

/** An empty book: it must be there before the first trade. */
export async function startTradeStatistics(
  tx: Queries,
  { deploymentId, side }: SideKey,
): Promise<TradeStatistics> {
  const book = tradeStatisticsCodec.encode(NO_TRADES);
  await tx.insert(tradeBooks).values({ deploymentId, side, book, born: bornOf(deploymentId) });
  return NO_TRADES;
}

export async function saveTradeStatistics(tx: Queries, key: SideKey, book: TradeStatistics): Promise<void> {
  await tx
    .update(tradeBooks)
    .set({ book: tradeStatisticsCodec.encode(book) })
    .where(readTradeStatistics(key));
}

const text = (value: Decimal | null) => (value === null ? null : formatDecimal(value));

/** Rows of one statement. */
const ROWS = 1000;

const insertRows = bulkInsert(
  trades,
  [
    'deploymentId',
    'side',
    'id',
    'at',
    'pnlUsd',
    'feesUsd',
    'gasUsd',
    'notionalUsd',
    'error',
    'signalId',
    'capitalUsd',
    'recordedAt',
  ],
  BORN,
);

/** Puts trades on the books, in any order; their ids must be new. */
export async function insertTrades(
  tx: Queries,
  { deploymentId, side }: SideKey,
  booked: readonly RecordedTrade[],
): Promise<void> {
  for (let from = 0; from < booked.length; from += ROWS) {
    const rows = booked.slice(from, from + ROWS).map((trade) => ({
      deploymentId,
      side,
      id: trade.id,
      at: new Date(trade.at),
      pnlUsd: text(trade.pnlUsd),
      feesUsd: formatDecimal(trade.feesUsd),
      gasUsd: formatDecimal(trade.gasUsd),
      notionalUsd: text(trade.notionalUsd),
      error: trade.error,
      signalId: trade.signalId ?? null,
      capitalUsd: formatDecimal(trade.capitalUsd),
      recordedAt: new Date(trade.recordedAt),
    }));
    await tx.execute(insertRows(rows));
  }
}

/** Written as SQL for speed: the query builder takes longer for a page than PostgreSQL. */
const TRADES = sql.raw(`select id, (extract(epoch from at) * 1000)::float8 as at, pnl_usd as "pnlUsd",
  fees_usd as "feesUsd", gas_usd as "gasUsd", notional_usd as "notionalUsd", error, signal_id as "signalId",
  capital_usd as "capitalUsd", (extract(epoch from recorded_at) * 1000)::float8 as "recordedAt" from trades`);

interface TradeRow extends Record<string, unknown> {
  readonly id: string;
  readonly at: number;
  readonly pnlUsd: string | null;
  readonly feesUsd: string;
  readonly gasUsd: string;
  readonly notionalUsd: string | null;
  readonly error: string | null;
  readonly signalId?: string | null | undefined;
  readonly capitalUsd: string;
  readonly recordedAt: number;
}

/** Numbers are parsed when they are asked for: a page of 200 trades has a thousand, and few are shown. */
function toTrade(row: TradeRow): RecordedTrade {
  return {
    id: row.id,
    at: row.at,
    get pnlUsd() {
      return numberOf(row.pnlUsd);
    },
    get feesUsd() {
      return decimal(row.feesUsd);
    },
    get gasUsd() {
      return decimal(row.gasUsd);
    },
    get notionalUsd() {
      return numberOf(row.notionalUsd);
    },
    error: row.error,
    ...(row.signalId ? { signalId: row.signalId } : {}),
    get capitalUsd() {
      return decimal(row.capitalUsd);
    },
    recordedAt: row.recordedAt,
  };
}

const numberOf = (text: string | null) => (text === null ? null : decimal(text));

/** Those of these trades that are on the books, by id. */
export async function findTrades(
  db: Queries,
  key: SideKey,
  ids: readonly string[],
): Promise<ReadonlyMap<string, RecordedTrade>> {
  if (ids.length === 0) return new Map();
  const wanted = and(tradesOf(key), inArray(trades.id, [...ids]));
  const rows = await db.execute<TradeRow>(sql`${TRADES} where ${wanted}`);
  return new Map(rows.map((row) => [row.id, toTrade(row)]));
}

/** The place of a trade: by time, then by id. */
export interface TradePosition {
  readonly at: number;
  readonly id: string;
}

export interface TradePage {
  readonly limit: number;
  readonly after?: TradePosition | undefined;
  /** Trades of this instant or later, epoch milliseconds. */
  readonly from?: number | undefined;
}

/** A page of trades, the earliest first; archived ones too. */
export async function readTrades(db: Queries, key: SideKey, page: TradePage): Promise<RecordedTrade[]> {
  const found = await readTable(db, key, page);
  // An ended deployment takes no more trades: they are all in the table, or all archived.
  return found.length > 0 ? found : pageOf(archivedTrades(db, key, page), page);
}

/** Those of the trades that are not archived. */
async function readTable(
  db: Queries,
  key: SideKey,
  { limit, after, from }: TradePage,
): Promise<RecordedTrade[]> {
  const wanted = and(
    inOrderOfTime(key),
    from === undefined ? undefined : gte(trades.at, new Date(from)),
    after &&
      sql`(${trades.at}, ${trades.id}) > (${new Date(after.at).toISOString()}::timestamptz, ${after.id})`,
  );
  const rows = await db.execute<TradeRow>(
    sql`${TRADES} where ${wanted} order by trades.at, trades.id limit ${limit}`,
  );
  return rows.map(toTrade);
}

async function* archivedTrades(
  db: Queries,
  { deploymentId, side }: SideKey,
  { after, from }: Omit<TradePage, 'limit'>,
): AsyncGenerator<RecordedTrade[]> {
  // They were archived in the order of pages: PostgreSQL knows the order of ids.
  let passed = after === undefined;
  for await (const rows of streamArchived(db, deploymentId, 'trades')) {
    const piece: RecordedTrade[] = [];
    for (const row of rows) {
      if (row.side !== side) continue;
      const trade = toTrade({ ...row, at: Date.parse(row.at), recordedAt: Date.parse(row.recordedAt) });
      if (passed && trade.at >= (from ?? trade.at)) piece.push(trade);
      passed ||= trade.at === after?.at && trade.id === after.id;
    }
    yield piece;
  }
}

/** All trades from an instant on, in the order of time, a page at a time; archived ones too: their archive is read once. */
export async function* streamTrades(
  db: Queries,
  key: SideKey,
  from?: number,
): AsyncGenerator<readonly RecordedTrade[]> {
  let after: TradePosition | undefined;
  for (;;) {
    const page = await readTable(db, key, { limit: ROWS, after, from });
    if (page.length === 0) yield* archivedTrades(db, key, { after, from });
    else yield page;
    after = page.at(-1);
    if (page.length < ROWS) return;
  }
}

/** Deletes the checkpoints after an instant and returns the latest one left. */
export async function rewindCheckpoints(tx: Queries, key: SideKey, at: number): Promise<Curve | null> {
  const instant = new Date(at);
  await tx.delete(tradeCheckpoints).where(and(checkpointsOf(key), gt(tradeCheckpoints.at, instant)));
  const [latest] = await tx
    .select({ curve: tradeCheckpoints.curve })
    .from(tradeCheckpoints)
    .where(and(checkpointsOf(key), lte(tradeCheckpoints.at, instant)))
    .orderBy(desc(tradeCheckpoints.at))
    .limit(1);
  return latest ? parseStored(curveCodec, latest.curve) : null;
}

export async function insertCheckpoints(
  tx: Queries,
  { deploymentId, side }: SideKey,
  checkpoints: readonly Curve[],
): Promise<void> {
  if (checkpoints.length === 0) return;
  await tx.insert(tradeCheckpoints).values(
    checkpoints.map((curve) => ({
      deploymentId,
      side,
      at: new Date(curve.at),
      curve: curveCodec.encode(curve),
    })),
  );
}
