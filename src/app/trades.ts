/**
 * Recording trades: a batch of one side is recorded under the deployment's lock, its metrics follow from the book,
 * and the guardrails check them, all in one transaction. Each trade is taken, known already, or refused on its own:
 * a bad one must not keep the loss of another from the guardrails. The owner's ids make a retry harmless.
 */
import { randomUUID } from 'node:crypto';
import { canSee } from '../access/actor.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { capitalHistory } from '../core/lifecycle/evolve.ts';
import { isWatched, type ReturnAccount, sideReturn, type Watched } from '../core/lifecycle/state.ts';
import type { SideRun } from '../core/metrics/run.ts';
import type { SideMetrics } from '../core/metrics/sideMetrics.ts';
import { firstDifference, type RecordedTrade, type Trade, tradeViolations } from '../core/metrics/trade.ts';
import {
  addTotals,
  CURVE_START,
  type Curve,
  extendCurve,
  metricsOf,
  oversizedFigure,
  type TradeStatistics,
  withOpenPositions,
} from '../core/metrics/tradeStatistics.ts';
import type { Decimal } from '../core/values/decimal.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import { type DeploymentView, lockDeployment } from '../store/deployments/deployments.ts';
import { readRecord, type SideKey, saveMetrics } from '../store/deployments/sideMetrics.ts';
import { addToSignals } from '../store/deployments/signals.ts';
import {
  findTradeStatistics,
  findTrades,
  insertCheckpoints,
  insertTrades,
  rewindCheckpoints,
  saveTradeStatistics,
  startTradeStatistics,
  streamTrades,
} from '../store/deployments/trades.ts';
import { readDeploymentEvents } from '../store/log/deploymentEvents.ts';
import { ConcurrentChange } from '../store/postgres/concurrentChange.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { notFound, sideRefusal } from './answer.ts';
import { type Actor, type App, SERIN } from './context.ts';
import { type Rollback, rollback, transactionInOrder } from './execution/transaction.ts';
import { reporterOf, takesNoMetrics } from './reports.ts';
import { applyCommand } from './stageCommand.ts';

/** At most this many trades in one batch. */
export const MAX_TRADES = 1000;

export interface TradeBatch extends SideKey {
  readonly trades: readonly Trade[];
  /** The value of open positions when the batch was sent, USD; undefined leaves it as it was. */
  readonly unrealizedPnlUsd?: Decimal | undefined;
}

/** A trade that was not taken, and its place in the batch. */
export interface RefusedTrade {
  readonly index: number;
  /** The id that the trade was sent with. */
  readonly tradeId: string;
  /** Unique among all refusals: clients cache objects by their id. */
  readonly id: string;
  readonly refusal: Refusal;
}

export interface TradesAnswer {
  /** Why the whole batch was refused: nothing has changed. */
  readonly refusal: Refusal | null;
  readonly refused: readonly RefusedTrade[];
  /** Trades that are on the books now and were not before; and that were. */
  readonly taken: number;
  readonly known: number;
  /** The deployment after the batch; a guardrail may have ended it. Null when there is none. */
  readonly view: DeploymentView | null;
  /** Serin's time of the batch, epoch milliseconds; null where none was read. */
  readonly now: SerinInstant | null;
  /** How long the lease of the canary's capital lasts from then on, seconds; null where the batch prolongs none. */
  readonly leaseSeconds: number | null;
  /** What the guardrails led to. */
  readonly events: readonly CanaryEvent[];
}

/** Records a batch. An empty one is news of the side: it lives and has not traded. */
export async function recordTrades(app: App, actor: Actor, batch: TradeBatch): Promise<TradesAnswer> {
  const { length } = batch.trades;
  if (length > MAX_TRADES) {
    const message = `trades must be at most ${MAX_TRADES} in a batch, got ${length}`;
    return nothingTaken(refusal('INVALID_INPUT', message, ['trades']), null);
  }
  const answer = await transactionInOrder(app, batch.deploymentId, (tx) => takeBatch(app, tx, actor, batch));
  app.onEvents(answer.events);
  return answer;
}

function nothingTaken(no: Refusal, view: DeploymentView | null): TradesAnswer {
  return { refusal: no, refused: [], taken: 0, known: 0, view, now: null, leaseSeconds: null, events: [] };
}

async function takeBatch(
  app: App,
  tx: LogWriteTransaction,
  actor: Actor,
  { trades, deploymentId, side, unrealizedPnlUsd }: TradeBatch,
): Promise<TradesAnswer | Rollback<TradesAnswer>> {
  const key = { deploymentId, side };
  const view = await lockDeployment(tx, deploymentId);
  if (!view || !canSee(actor, view.state.strategyId)) return nothingTaken(notFound(deploymentId), null);
  const { state, now } = view;
  const no = sideRefusal(actor, side) ?? takesNoMetrics(state);
  if (no) return nothingTaken(no, view);
  if (!isWatched(state)) throw new Error(`${deploymentId} takes metrics but is not watched`);
  const opened = await findTradeStatistics(tx, key);
  if (!opened && view.metrics[side]) return nothingTaken(measuredByTotals(key), view);

  const booked = await findTrades(
    tx,
    key,
    trades.map(({ id }) => id),
  );
  const { fresh, known, refused } = sortOut(trades, booked, { from: state.observation.startedAt, to: now });
  if (refused.length > 0 && fresh.length + known === 0 && unrealizedPnlUsd === undefined)
    return { refusal: null, refused, taken: 0, known, view, now, leaseSeconds: null, events: [] };

  const withCapital = await bookOnCapital(tx, state, key, fresh, now);
  if (state.config.evidence.pairing === 'SIGNAL') await addToSignals(tx, key, withCapital);
  const book = await bookTrades(tx, key, opened ?? (await startTradeStatistics(tx, key)), withCapital);
  const { startedAt, basis } = state.observation;
  const facts = { now, startedAt, returned: (netPnlUsd: Decimal) => sideReturn(basis[side], netPnlUsd) };
  const before = await readRecord(tx, key);
  const record = withOpenPositions(before, metricsOf(book, now), unrealizedPnlUsd, facts);
  const oversized = oversizedFigure(record.metrics);
  if (oversized) return rollback(nothingTaken(tooLarge(oversized), view));
  const moved = fresh.length > 0 || unrealizedPnlUsd !== undefined;
  const { view: after, events } = await publish(app, tx, actor, view, key, record, moved);
  const leaseSeconds = side === 'CANARY' ? state.config.capitalLeaseSeconds : null;
  return { refusal: null, refused, taken: fresh.length, known, view: after, now, leaseSeconds, events };
}

function measuredByTotals({ deploymentId, side }: SideKey): Refusal {
  const message = `The ${side.toLowerCase()} side of ${deploymentId} is measured by reported totals: go on reporting them, a side is measured one way`;
  return refusal('INVALID_INPUT', message, ['side']);
}

function tooLarge(figure: string): Refusal {
  return refusal('INVALID_INPUT', `trades would lead to a ${figure} that has too many digits to be kept`, [
    'trades',
  ]);
}

interface SortedOut {
  readonly fresh: readonly Trade[];
  readonly known: number;
  readonly refused: readonly RefusedTrade[];
}

/** Which trades of a batch are new, which are known, and which are no trades or contradict a known one. */
function sortOut(
  trades: readonly Trade[],
  booked: ReadonlyMap<string, Trade>,
  window: { readonly from: number; readonly to: number },
): SortedOut {
  const seen = new Map(booked);
  const fresh: Trade[] = [];
  const refused: RefusedTrade[] = [];
  let known = 0;
  trades.forEach((trade, index) => {
    const path = ['trades', String(index)];
    const before = seen.get(trade.id);
    const no = before ? contradicts(before, trade, path) : breaksRules(trade, window, path);
    if (no) refused.push({ index, tradeId: trade.id, id: `refused_${randomUUID()}`, refusal: no });
    else if (before) known += 1;
    else {
      fresh.push(trade);
      seen.set(trade.id, trade);
    }
  });
  return { fresh, known, refused };
}

function contradicts(before: Trade, trade: Trade, path: readonly string[]): Refusal | null {
  const difference = firstDifference(before, trade);
  if (!difference) return null;
  const { field, booked, sent } = difference;
  const at = [...path, field];
  const message = `${at.join('.')}: trade ${trade.id} is on the books with ${booked}, not ${sent}; a trade does not change, send a correction under an id of its own`;
  return refusal('ALREADY_EXISTS', message, at);
}

function breaksRules(
  trade: Trade,
  window: { readonly from: number; readonly to: number },
  path: readonly string[],
): Refusal | null {
  const violations = tradeViolations(trade, window, path);
  return violations.length > 0 ? invalidInput(violations) : null;
}

/** Each trade with the capital its side worked with when it was closed, in the order of time. */
async function bookOnCapital(
  tx: Queries,
  state: Watched,
  { side }: SideKey,
  fresh: readonly Trade[],
  recordedAt: number,
): Promise<RecordedTrade[]> {
  const trades = [...fresh].sort((one, other) => one.at - other.at);
  const basis: ReturnAccount = state.observation.basis[side];
  const [first] = trades;
  if (!first || first.at >= basis.since) {
    return trades.map((trade) => ({ ...trade, capitalUsd: basis.capitalUsd, recordedAt }));
  }
  const log = await readDeploymentEvents(tx, state.id);
  const history = capitalHistory(log.map(({ event }) => event))[side];
  return trades.map((trade) => {
    // A trade dated just before the start, by a late clock, was made with the first capital.
    const { capitalUsd } = history.findLast(({ since }) => since <= trade.at) ?? history[0] ?? basis;
    return { ...trade, capitalUsd, recordedAt };
  });
}

/** Books new trades. The curve continues from its end, or is folded again from before the earliest that came late. */
async function bookTrades(
  tx: Queries,
  key: SideKey,
  book: TradeStatistics,
  trades: readonly RecordedTrade[],
): Promise<TradeStatistics> {
  const [first] = trades;
  if (!first) return book;
  await insertTrades(tx, key, trades);
  const totals = addTotals(book.totals, trades);
  const curve =
    first.at < book.curve.at ? await foldAgain(tx, key, first.at) : await goOn(tx, key, book.curve, trades);
  const after = { totals, curve };
  await saveTradeStatistics(tx, key, after);
  return after;
}

async function goOn(
  tx: Queries,
  key: SideKey,
  curve: Curve,
  trades: readonly RecordedTrade[],
): Promise<Curve> {
  const extended = extendCurve(curve, trades);
  await insertCheckpoints(tx, key, extended.checkpoints);
  return extended.curve;
}

async function foldAgain(tx: Queries, key: SideKey, at: number): Promise<Curve> {
  let curve = (await rewindCheckpoints(tx, key, at)) ?? CURVE_START;
  for await (const page of streamTrades(tx, key, curve.at)) curve = await goOn(tx, key, curve, page);
  return curve;
}

/** Writes what the book says, and has the guardrails check it if the canary has new trades. */
async function publish(
  app: App,
  tx: LogWriteTransaction,
  actor: Actor,
  view: DeploymentView,
  key: SideKey,
  record: { readonly metrics: SideMetrics; readonly run: SideRun | null },
  moved: boolean,
): Promise<{ readonly view: DeploymentView; readonly events: readonly CanaryEvent[] }> {
  const { side } = key;
  const reporter = reporterOf(actor);
  const saved = await saveMetrics(tx, key, record, 'TRADES', reporter);
  // A first report of totals was committed meanwhile: run again, the batch is refused.
  if (!saved) throw new ConcurrentChange('the side is measured by totals');
  const reporters = { ...view.reporters, [side]: reporter };
  const after = { ...view, reporters, metrics: { ...view.metrics, [side]: record.metrics } };
  if (!moved || side !== 'CANARY') return { view: after, events: [] };
  const outcome = await applyCommand(app, tx, after, { type: 'EVALUATE_GUARDRAILS' }, SERIN);
  if (!outcome.accepted) throw new Error(`a look was refused: ${outcome.refusal.message}`);
  return outcome;
}
