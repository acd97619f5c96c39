/**
 * Exports a deployment as one document and imports it into another Serin. The document contains the log, from which the
 * state follows, and the samples and trades.
 */
import { hash } from 'node:crypto';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { canSee } from '../access/actor.ts';
import { beyondScope } from '../access/permissions.ts';
import {
  type Archive,
  type DeploymentDocument,
  fromDocument,
  toDocument,
  writeEvents,
  writeSamples,
  writeTrades,
} from '../core/document/document.ts';
import { instantViolations } from '../core/document/verify.ts';
import { nextDeadlineAt } from '../core/lifecycle/deadlines.ts';
import { pairedSignals } from '../core/lifecycle/events.ts';
import { recordImport } from '../core/lifecycle/handle.ts';
import { pointsByCheck } from '../core/lifecycle/series.ts';
import { isEnded, isWatched, nextCheckAt } from '../core/lifecycle/state.ts';
import type { RecordedTrade } from '../core/metrics/trade.ts';
import { addTrades } from '../core/metrics/tradeStatistics.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import { SIDES, type Side } from '../core/values/side.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import {
  type DeploymentView,
  findDeployment,
  findLive,
  insertDeployment,
  NO_HEARTBEATS,
  NO_REPORTERS,
} from '../store/deployments/deployments.ts';
import { readRecord, type SideKey, saveMetrics } from '../store/deployments/sideMetrics.ts';
import { addToSignals, markPaired } from '../store/deployments/signals.ts';
import { ensureStrategy, moveStableVersions, type Strategy } from '../store/deployments/strategies.ts';
import {
  findTradeStatistics,
  insertCheckpoints,
  insertTrades,
  saveTradeStatistics,
  startTradeStatistics,
  streamTrades,
} from '../store/deployments/trades.ts';
import { readDeploymentEvents, streamDeploymentEvents } from '../store/log/deploymentEvents.ts';
import { appendEvents } from '../store/log/eventLog.ts';
import { holdPartitions } from '../store/log/partitions.ts';
import { insertSamples, streamSamples } from '../store/log/samples.ts';
import { type Queries, readClock } from '../store/postgres/database.ts';
import { type Answer, answerCodec, done, invalid, refused } from './answer.ts';
import { coversStrategy } from './approvalRules.ts';
import type { Actor, App } from './context.ts';
import { capitalNotHome } from './createDeployment.ts';
import { runIdempotent } from './execution/idempotency.ts';
import { importFrozen } from './freezes.ts';
import { idViolation } from './ownNames.ts';
import { entriesOf } from './stageCommand.ts';

/**
 * The document of a deployment, read from one snapshot; null if it does not exist or the actor may not see it. Ends when
 * its caller has gone.
 * @throws the reason of the signal
 */
export async function exportDeployment(
  db: App['db'],
  actor: Actor,
  id: string,
  signal: AbortSignal,
): Promise<DeploymentDocument | null> {
  return db.transaction(
    async (tx): Promise<DeploymentDocument | null> => {
      await holdPartitions(tx);
      const view = await findDeployment(tx, id);
      if (!view || !canSee(actor, view.state.strategyId)) return null;
      const { state, metrics, breaches } = view;
      const { rate: clockRate } = await readClock(tx);
      const recordOf = (side: Side) => readRecord(tx, { deploymentId: id, side });
      const runs = { CANARY: (await recordOf('CANARY')).run, STABLE: (await recordOf('STABLE')).run };
      const [first] = await readDeploymentEvents(tx, id, { limit: 1 });
      if (!first) throw new Error(`deployment ${id} has no log`);
      const short = { samples: [], events: [first.event], trades: { CANARY: null, STABLE: null } };
      const head = toDocument({ state, metrics, breaches, runs, clockRate, ...short });
      return {
        ...head,
        samples: await collect(streamSamples(tx, id), writeSamples, signal),
        trades: {
          CANARY: await writtenTrades(tx, { deploymentId: id, side: 'CANARY' }, signal),
          STABLE: await writtenTrades(tx, { deploymentId: id, side: 'STABLE' }, signal),
        },
        events: await collect(
          streamDeploymentEvents(tx, id),
          (page) => writeEvents(page.map(({ event }) => event)),
          signal,
        ),
      };
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

/** Writes pages one after the other. Between two of them other requests are answered. */
async function collect<R, W>(
  from: AsyncIterable<readonly R[]>,
  write: (page: readonly R[]) => W[],
  signal: AbortSignal,
): Promise<W[]> {
  const written: W[] = [];
  for await (const page of from) {
    signal.throwIfAborted();
    for (const row of write(page)) written.push(row);
    await yieldToEventLoop();
  }
  return written;
}

/** All trades of a side, the earliest first; null if the side is not measured by its trades. */
async function writtenTrades(
  tx: Queries,
  key: SideKey,
  signal: AbortSignal,
): Promise<ReturnType<typeof writeTrades> | null> {
  if (!(await findTradeStatistics(tx, key))) return null;
  return collect(streamTrades(tx, key), writeTrades, signal);
}

/** How far ahead of this server's clock a document may be, milliseconds: the clocks of two servers differ. */
const CLOCK_DIFFERENCE_MS = 60_000;

export interface ImportInput {
  readonly document: unknown;
  /** Whether a promotion in the document moves the strategy's stable version. */
  readonly moveStableVersion: boolean;
  readonly idempotencyKey: string | null;
}

function alreadyThere(id: string): Refusal {
  const message = `Deployment ${id} already exists: a document can be imported only once`;
  return refusal('ALREADY_EXISTS', message, ['document', 'deployment', 'id']);
}

/**
 * Imports a deployment from a document. A live one continues: its next check is due in one interval, or immediately if
 * its deadline has passed. The strategy is created if it is new here. An event says who imported it.
 * @throws {Forbidden} if the strategy is outside the actor's scope
 */
export async function importDeployment(app: App, actor: Actor, input: ImportInput): Promise<Answer> {
  const { document, moveStableVersion, idempotencyKey } = input;
  const parsed = fromDocument(document);
  if (!parsed.ok) return invalid(parsed.violations);
  const archive = parsed.value;
  const { metrics, breaches } = archive;
  const { id, strategyId, chain } = archive.state;
  if (!canSee(actor, strategyId)) throw beyondScope(actor, strategyId);
  const misnamed = idViolation(actor, { id, strategyId });
  if (misnamed) return invalid([{ path: ['document', 'deployment', 'id'], message: misnamed }]);
  const keyed = moveStableVersion ? { document, moveStableVersion } : document;
  const request = { actor, operation: 'importDeployment', input: keyed, idempotencyKey };
  return runIdempotent(app, request, answerCodec, async (tx) => {
    const existing = await findDeployment(tx, id);
    if (existing) return refused(alreadyThere(id), existing);
    const { now } = await readClock(tx);
    const dated = { ...archive, clockRate: archive.clockRate ?? 1 };
    const late = instantViolations(dated, now + CLOCK_DIFFERENCE_MS, ['document']);
    if (late.length > 0) return invalid(late);
    const promotes = archive.state.status === 'PROMOTED' && moveStableVersion;
    const raises = isWatched(archive.state) ? 'DEPLOY' : promotes ? 'PROMOTE' : null;
    const frozen = raises && (await importFrozen(tx, archive.state, raises));
    if (frozen) return refused(frozen);
    const strategy = await ensureImportedStrategy(app, tx, archive, moveStableVersion, now);
    if ('code' in strategy) return refused(strategy);
    const documentHash = hashOf(archive);
    const imported = recordImport(archive.state, documentHash, { at: now, actor: actor.name });
    const { state } = imported;
    const events = [...archive.events, ...imported.events];
    await appendAuditRecord(tx, {
      actor: actor.name,
      action: 'DEPLOYMENT_IMPORTED',
      subject: id,
      strategies: [strategyId],
      details: { documentHash, events: archive.events.length, moveStableVersion },
    });
    const next = nextCheckAt(state, now);
    const deadlineAt = nextDeadlineAt(state, { now, metrics });
    const schedule = { nextCheckAt: next, deadlineAt, breaches };
    if (!(await insertDeployment(tx, state, schedule))) {
      const live = await findLive(tx, strategyId, chain);
      // Without one it is the id: the same document was imported meanwhile.
      if (!live) return refused(alreadyThere(id), await findDeployment(tx, id));
      const message = `${strategyId} has a live deployment on chain ${chain}: ${live.id}`;
      return refused(refusal('STRATEGY_BUSY', message), await findDeployment(tx, live.id));
    }
    const busy = isEnded(state) ? null : await capitalNotHome(tx, state);
    if (busy) return busy;
    await appendEvents(tx, entriesOf(null, events));
    await insertRecords(tx, archive);
    const { stableVersionId, requireApproval } = strategy;
    const view: DeploymentView = {
      state,
      metrics,
      breaches,
      strategyStableVersionId: stableVersionId,
      strategyRequiresApproval: requireApproval,
      nextCheckAt: next,
      deadlineAt,
      heartbeats: NO_HEARTBEATS,
      reporters: NO_REPORTERS,
      metricsVersion: null,
      now,
    };
    return done(`Deployment ${id} imported: ${state.status}, ${archive.events.length} events`, view);
  });
}

/** SHA-256 of the document in its canonical form: the order of keys in what was sent does not matter. */
function hashOf(archive: Archive): string {
  return hash('sha256', JSON.stringify(toDocument(archive)), 'hex');
}

/** Inserts what a document has besides the state and its events: samples, figures, trades and signals. */
async function insertRecords(tx: Queries, archive: Archive): Promise<void> {
  const { state, metrics, samples, trades, runs } = archive;
  const { id } = state;
  const points = pointsByCheck(archive.events);
  await insertSamples(
    tx,
    samples.map((sample) => ({ deploymentId: id, ...sample, point: points.get(sample.check) ?? null })),
  );
  // Before the trades, which then open the other signals only.
  await markPaired(tx, id, archive.events.flatMap(pairedSignals));
  for (const side of SIDES) {
    const sideMetrics = metrics[side];
    const sideTrades = trades[side];
    const key = { deploymentId: id, side };
    const record = sideMetrics && { metrics: sideMetrics, run: runs?.[side] ?? null };
    if (record) await saveMetrics(tx, key, record, sideTrades ? 'TRADES' : 'TOTALS');
    if (sideTrades) await insertStatistics(tx, key, sideTrades);
    if (sideTrades && state.config.evidence.pairing === 'SIGNAL') await addToSignals(tx, key, sideTrades);
  }
}

/** Inserts the trades of a side and the statistics that they add up to. */
async function insertStatistics(tx: Queries, key: SideKey, trades: readonly RecordedTrade[]): Promise<void> {
  const { totals, curve, checkpoints } = addTrades(trades);
  await startTradeStatistics(tx, key);
  await insertTrades(tx, key, trades);
  await insertCheckpoints(tx, key, checkpoints);
  await saveTradeStatistics(tx, key, { totals, curve });
}

/**
 * The strategy after an import; the refusal if the caller asks to move its stable version where two people must promote. A
 * new strategy gets the version that the document leads to. A move happens only if no other promotion has moved it.
 */
async function ensureImportedStrategy(
  app: App,
  tx: Queries,
  { state }: Archive,
  moveStableVersion: boolean,
  now: SerinInstant,
): Promise<Pick<Strategy, 'stableVersionId' | 'requireApproval'> | Refusal> {
  const { strategyId, stableVersionId, canaryVersionId, config } = state;
  const promoted = state.status === 'PROMOTED';
  const twoPeople = config.requireApproval && !isEnded(state);
  const strategy = await ensureStrategy(
    tx,
    strategyId,
    promoted ? canaryVersionId : stableVersionId,
    twoPeople,
  );
  if (!strategy) throw new Error(`strategy ${strategyId} was not created`);
  if (!promoted || !moveStableVersion || strategy.stableVersionId !== stableVersionId) return strategy;
  if (strategy.requireApproval || coversStrategy(app, strategyId)) {
    const message =
      `moveStableVersion cannot be: promotions of ${strategyId} need two people. Import without it, and promote ` +
      `${canaryVersionId} with a deployment of its own`;
    return refusal('INVALID_INPUT', message, ['moveStableVersion']);
  }
  const move = { from: stableVersionId, to: canaryVersionId, at: now };
  await moveStableVersions(tx, new Map([[strategyId, move]]));
  return { ...strategy, stableVersionId: canaryVersionId };
}
