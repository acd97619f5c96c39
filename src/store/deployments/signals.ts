/**
 * Signals of a deployment whose pairs of returns are by signal: what each side has earned on them, and which have made a
 * pair. A signal is open until then; trades that come later count in PnL, not here.
 */
import { sql } from 'drizzle-orm';
import type { SignalPair } from '../../core/lifecycle/events.ts';
import { netPnlUsd, type RecordedTrade } from '../../core/metrics/trade.ts';
import { type Decimal, decimal, formatDecimal } from '../../core/values/decimal.ts';
import type { Side } from '../../core/values/side.ts';
import { type ArchivedRows, pageOf, streamArchived } from '../log/archive.ts';
import type { Queries } from '../postgres/database.ts';
import type { SideKey } from './sideMetrics.ts';

/** At most this many open signals of a deployment; of more the oldest are forgotten. */
const MAX_OPEN_SIGNALS = 5000;
/** Pairs of one check at most; the rest comes with the next one. */
const PAIRS_OF_CHECK = 200;

/** What a side has earned on a signal. */
interface Earned {
  readonly usd: Decimal;
  /** The capital of the side at the latest trade, and when that was closed. */
  readonly capitalUsd: Decimal;
  readonly at: number;
}

/** Adds new trades of a side to their signals. An error is no trade: it has made nothing of a signal. */
export async function addToSignals(
  tx: Queries,
  { deploymentId, side }: SideKey,
  trades: readonly RecordedTrade[],
): Promise<void> {
  const earned = earnedBySignal(trades);
  if (earned.size === 0) return;
  const ids = [...earned.keys()];
  const all = [...earned.values()];
  const [usd, capital, at] = columnsOf(side);
  await tx.execute(sql`
    insert into signals (deployment_id, signal_id, ${usd}, ${capital}, ${at})
    select ${deploymentId}, given.signal_id, given.usd::numeric, given.capital_usd::numeric, given.at::timestamptz
    from unnest(${sql.param(ids)}::text[], ${sql.param(all.map((each) => formatDecimal(each.usd)))}::text[],
      ${sql.param(all.map(({ capitalUsd }) => formatDecimal(capitalUsd)))}::text[],
      ${sql.param(all.map((each) => new Date(each.at).toISOString()))}::text[])
      as given (signal_id, usd, capital_usd, at)
    on conflict (deployment_id, signal_id) do update set
      ${usd} = coalesce(signals.${usd}, 0) + excluded.${usd},
      ${capital} = case when excluded.${at} >= coalesce(signals.${at}, excluded.${at})
        then excluded.${capital} else signals.${capital} end,
      ${at} = greatest(signals.${at}, excluded.${at})
    where signals.state = 'OPEN'`);
  await tx.execute(sql`
    update signals set state = 'FORGOTTEN'
    where deployment_id = ${deploymentId} and state = 'OPEN' and signal_id in (
      select signal_id from signals where deployment_id = ${deploymentId} and state = 'OPEN'
      order by greatest(canary_at, stable_at) desc, signal_id desc offset ${MAX_OPEN_SIGNALS})`);
}

function earnedBySignal(trades: readonly RecordedTrade[]): Map<string, Earned> {
  const earned = new Map<string, Earned>();
  for (const trade of trades) {
    const { signalId, error, at, capitalUsd } = trade;
    if (signalId === undefined || error !== null) continue;
    const before = earned.get(signalId);
    const isLatest = !before || at >= before.at;
    earned.set(signalId, {
      usd: netPnlUsd(trade).plus(before?.usd ?? 0),
      capitalUsd: isLatest ? capitalUsd : before.capitalUsd,
      at: isLatest ? at : before.at,
    });
  }
  return earned;
}

function columnsOf(side: Side) {
  const name = side.toLowerCase();
  return [sql.raw(`${name}_usd`), sql.raw(`${name}_capital_usd`), sql.raw(`${name}_at`)];
}

/** Open signals on which both sides have traded, in the order of the later trade: the pairs of the next check. */
export async function readSignalPairs(db: Queries, deploymentId: string): Promise<SignalPair[]> {
  const rows = await db.execute<{
    signalId: string;
    canaryUsd: string;
    canaryCapitalUsd: string;
    stableUsd: string;
    stableCapitalUsd: string;
  }>(sql`
    select signal_id as "signalId", canary_usd as "canaryUsd", canary_capital_usd as "canaryCapitalUsd",
      stable_usd as "stableUsd", stable_capital_usd as "stableCapitalUsd"
    from signals
    where deployment_id = ${deploymentId} and state = 'OPEN' and canary_at is not null and stable_at is not null
    order by greatest(canary_at, stable_at), signal_id limit ${PAIRS_OF_CHECK}`);
  return rows.map((row) => ({
    signalId: row.signalId,
    canary: decimal(row.canaryUsd).div(row.canaryCapitalUsd).toNumber(),
    stable: decimal(row.stableUsd).div(row.stableCapitalUsd).toNumber(),
  }));
}

/** Records that signals have made pairs, known ones and those of a document. */
export async function markPaired(
  tx: Queries,
  deploymentId: string,
  signalIds: readonly string[],
): Promise<void> {
  if (signalIds.length === 0) return;
  await tx.execute(sql`
    insert into signals (deployment_id, signal_id, state)
    select ${deploymentId}, signal_id, 'PAIRED' from unnest(${sql.param([...signalIds])}::text[]) as given (signal_id)
    on conflict (deployment_id, signal_id) do update set state = 'PAIRED'`);
}

/** How many signals of a deployment there are in each state. */
export interface SignalCounts {
  readonly open: number;
  readonly paired: number;
  readonly forgotten: number;
}

/** Counts the signals of a deployment, also of an archived one. */
export async function countSignals(db: Queries, deploymentId: string): Promise<SignalCounts> {
  const rows = await db.execute<ArchivedRows['signals']>(
    sql`select state, count(*)::int as count from signals where deployment_id = ${deploymentId} group by state`,
  );
  const found = rows.length > 0 ? rows : await pageOf(streamArchived(db, deploymentId, 'signals'), {});
  const countOf = (wanted: ArchivedRows['signals']['state']) =>
    found.find(({ state }) => state === wanted)?.count ?? 0;
  return { open: countOf('OPEN'), paired: countOf('PAIRED'), forgotten: countOf('FORGOTTEN') };
}
