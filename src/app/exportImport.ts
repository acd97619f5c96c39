/**
 * Exports a deployment as one document and imports it into another Serin. The document contains the log, from which the
 * state follows, and the samples and trades.
 */
import { canSee } from '../access/actor.ts';
import { beyondScope } from '../access/permissions.ts';
import {
  type Archive,
  type DeploymentDocument,
  fromDocument,
  toDocument,
} from '../core/document/document.ts';
import { nextCheckAt } from '../core/lifecycle/state.ts';
import type { RecordedTrade } from '../core/metrics/trade.ts';
import { addTrades } from '../core/metrics/tradeStatistics.ts';
import { refusal } from '../core/values/refusal.ts';
import { SIDES } from '../core/values/side.ts';
import { findDeployment, findLive, insertDeployment } from '../store/deployments/deployments.ts';
import { readRecord, type SideKey, saveMetrics } from '../store/deployments/sideMetrics.ts';
import { ensureStrategy, moveStableVersions } from '../store/deployments/strategies.ts';
import {
  findTradeStatistics,
  insertCheckpoints,
  insertTrades,
  saveTradeStatistics,
  startTradeStatistics,
  streamTrades,
} from '../store/deployments/trades.ts';
import { appendEvents, readDeploymentEvents } from '../store/log/eventLog.ts';
import { insertSamples, readSamples } from '../store/log/samples.ts';
import { type Queries, readClock } from '../store/postgres/database.ts';
import { type Answer, answerCodec, done, invalid, refused } from './answer.ts';
import type { Actor, App } from './context.ts';
import { runIdempotent } from './execution/idempotency.ts';
import { entriesOf } from './stageCommand.ts';

/** The document of a deployment, read from one snapshot; null if it does not exist or the actor may not see it. */
export async function exportDeployment(
  app: App,
  actor: Actor,
  id: string,
): Promise<DeploymentDocument | null> {
  const archive = await app.db.transaction(
    async (tx): Promise<Archive | null> => {
      const view = await findDeployment(tx, id);
      if (!view || !canSee(actor, view.state.strategyId)) return null;
      const log = await readDeploymentEvents(tx, id);
      const samples = await readSamples(tx, id);
      const trades = {
        CANARY: await allTrades(tx, { deploymentId: id, side: 'CANARY' }),
        STABLE: await allTrades(tx, { deploymentId: id, side: 'STABLE' }),
      };
      const runs = {
        CANARY: (await readRecord(tx, { deploymentId: id, side: 'CANARY' })).run,
        STABLE: (await readRecord(tx, { deploymentId: id, side: 'STABLE' })).run,
      };
      const { state, metrics, breaches } = view;
      return { state, metrics, breaches, samples, trades, runs, events: log.map(({ event }) => event) };
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
  return archive && toDocument(archive);
}

/**
 * Imports a deployment from a document. A live one continues: its next check is due in one interval, or immediately if
 * its deadline has passed. The strategy is created if it is new here.
 * @throws {Forbidden} if the strategy is outside the actor's scope
 */
export async function importDeployment(
  app: App,
  actor: Actor,
  input: { readonly document: unknown; readonly idempotencyKey: string | null },
): Promise<Answer> {
  const { document, idempotencyKey } = input;
  const parsed = fromDocument(document);
  if (!parsed.ok) return invalid(parsed.violations);
  const archive = parsed.value;
  const { state, metrics, breaches, samples, trades, runs, events } = archive;
  if (!canSee(actor, state.strategyId)) throw beyondScope(actor, state.strategyId);
  const request = { actor, operation: 'importDeployment', input: document, idempotencyKey };
  return runIdempotent(app, request, answerCodec, async (tx) => {
    const existing = await findDeployment(tx, state.id);
    if (existing) {
      const message = `Deployment ${state.id} already exists: a document can be imported only once`;
      return refused(refusal('ALREADY_EXISTS', message, ['document', 'deployment', 'id']), existing);
    }
    const { now } = await readClock(tx);
    const stable = await ensureImportedStrategy(tx, archive, now);
    const next = nextCheckAt(state, now);
    if (!(await insertDeployment(tx, state, { nextCheckAt: next, breaches }))) {
      const live = await findLive(tx, state.strategyId, state.chain);
      const message = `${state.strategyId} has a live deployment on chain ${state.chain}: ${live?.id ?? 'another'}`;
      return refused(refusal('STRATEGY_BUSY', message), live && (await findDeployment(tx, live.id)));
    }
    await appendEvents(tx, entriesOf(null, events));
    await insertSamples(
      tx,
      samples.map((sample) => ({ deploymentId: state.id, ...sample })),
    );
    for (const side of SIDES) {
      const sideMetrics = metrics[side];
      const sideTrades = trades[side];
      const key = { deploymentId: state.id, side };
      const record = sideMetrics && { metrics: sideMetrics, run: runs?.[side] ?? null };
      if (record) await saveMetrics(tx, key, record, sideTrades ? 'TRADES' : 'TOTALS');
      if (sideTrades) await insertStatistics(tx, key, sideTrades);
    }
    const view = { state, metrics, breaches, strategyStableVersionId: stable, nextCheckAt: next, now };
    return done(`Deployment ${state.id} imported: ${state.status}, ${events.length} events`, view);
  });
}

/** All trades of a side, the earliest first; null if the side is not measured by its trades. */
async function allTrades(tx: Queries, key: SideKey): Promise<RecordedTrade[] | null> {
  if (!(await findTradeStatistics(tx, key))) return null;
  const all: RecordedTrade[] = [];
  for await (const page of streamTrades(tx, key)) all.push(...page);
  return all;
}

/** Inserts the trades of a side and the statistics that they add up to. */
async function insertStatistics(tx: Queries, key: SideKey, trades: readonly RecordedTrade[]): Promise<void> {
  const { totals, curve, checkpoints } = addTrades(trades);
  await startTradeStatistics(tx, key);
  await insertTrades(tx, key, trades);
  await insertCheckpoints(tx, key, checkpoints);
  await saveTradeStatistics(tx, key, { totals, curve });
}

/** The strategy's stable version after an import. A promotion in the document moves it, unless another one did. */
async function ensureImportedStrategy(tx: Queries, { state }: Archive, now: number): Promise<string> {
  const { strategyId, stableVersionId, canaryVersionId } = state;
  const promoted = state.status === 'PROMOTED';
  const strategy = await ensureStrategy(tx, strategyId, promoted ? canaryVersionId : stableVersionId);
  if (!strategy) throw new Error(`strategy ${strategyId} was not created`);
  if (promoted && strategy.stableVersionId === stableVersionId) {
    const move = { from: stableVersionId, to: canaryVersionId, at: now };
    await moveStableVersions(tx, new Map([[strategyId, move]]));
    return canaryVersionId;
  }
  return strategy.stableVersionId;
}
