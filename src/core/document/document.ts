/**
 * A deployment as one JSON document: its log, latest metrics, samples and trades. The log determines the deployment, so
 * a round trip loses nothing. The summary at the top is for people and must agree with the log.
 */
import { z } from 'zod';
import { configHash, GUARDRAILS } from '../config/config.ts';
import { type CanaryEvent, eventCodec, writeEvent } from '../lifecycle/events.ts';
import { replay } from '../lifecycle/evolve.ts';
import { type DeploymentState, observationOf, STATUSES } from '../lifecycle/state.ts';
import { type SideRun, sideRunCodec } from '../metrics/run.ts';
import { type MetricsBySide, type SideMetrics, sideMetricsCodec } from '../metrics/sideMetrics.ts';
import { type RecordedTrade, recordedTradeCodec, tradeViolations } from '../metrics/trade.ts';
import { addTrades, metricsOf } from '../metrics/tradeStatistics.ts';
import { DECISIONS } from '../rule/gate.ts';
import type { BreachCounts } from '../rule/guardrails.ts';
import { bySide, countCodec, instantCodec } from '../values/codecs.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import type { Parsed, Violation } from '../values/violation.ts';
import { boundViolations, exact } from './bounds.ts';
import { configViolations, decisionViolations } from './verify.ts';

export const DOCUMENT_FORMAT = 'serin/deployment';
export const DOCUMENT_VERSION = 2;
/** Documents of all earlier versions stay readable. */
const DOCUMENT_VERSIONS = [1, 2] as const;

const sampleCodec = z.strictObject({
  check: countCodec,
  at: instantCodec,
  decision: z.enum(DECISIONS),
  metrics: bySide(sideMetricsCodec.nullable()),
});
/** The metrics of both sides at a check, and the decision of the comparison then. */
export type Sample = Readonly<z.output<typeof sampleCodec>>;

const documentCodec = z.strictObject({
  format: z.literal(DOCUMENT_FORMAT),
  version: z.literal(DOCUMENT_VERSIONS),
  /** Seconds on the clock of its instants per real second. From version 2 on. */
  clockRate: z.number().min(1).optional(),
  deployment: z.strictObject({
    id: z.string(),
    strategyId: z.string(),
    chain: z.string(),
    stableVersionId: z.string(),
    canaryVersionId: z.string(),
    status: z.enum(STATUSES),
    revision: countCodec,
    configHash: z.string(),
  }),
  metrics: bySide(sideMetricsCodec.nullable()),
  breaches: z.record(z.enum(GUARDRAILS), countCodec),
  samples: z.array(sampleCodec).readonly(),
  /** Null for a side that does not report trades. */
  trades: bySide(z.array(recordedTradeCodec).readonly().nullable()),
  /** What is remembered of each side's runs; absent where neither side has named one. */
  runs: bySide(sideRunCodec.nullable()).optional(),
  events: z.array(eventCodec).min(1).readonly(),
});

/** Everything that Serin stores of a deployment. */
export interface Archive {
  readonly state: DeploymentState;
  readonly metrics: MetricsBySide;
  readonly breaches: BreachCounts;
  readonly samples: readonly Sample[];
  /** Null for a side that does not report trades. */
  readonly trades: BySide<readonly RecordedTrade[] | null>;
  /** What is remembered of each side's runs; null for a side that has named none. */
  readonly runs?: BySide<SideRun | null> | undefined;
  readonly events: readonly CanaryEvent[];
  /** Seconds on the clock of its instants per real second; 1 where it is not known. */
  readonly clockRate?: number | undefined;
}

type ReadableDocument = z.input<typeof documentCodec>;
/** As it is written: a document may have events of a later version, which only that version can read. */
export type DeploymentDocument = Omit<ReadableDocument, 'events'> & {
  readonly events: readonly Readonly<Record<string, unknown>>[];
};

const withoutEvents = documentCodec.omit({ events: true });

/** Writes the document. */
export function toDocument(archive: Archive): DeploymentDocument {
  const { state, metrics, breaches, samples, trades, runs, events, clockRate = 1 } = archive;
  const { id, strategyId, chain, stableVersionId, canaryVersionId, status, revision, config } = state;
  const summary = { id, strategyId, chain, stableVersionId, canaryVersionId, status, revision };
  const rest = z.encode(withoutEvents, {
    format: DOCUMENT_FORMAT,
    version: DOCUMENT_VERSION,
    clockRate,
    deployment: { ...summary, configHash: configHash(config) },
    metrics,
    breaches,
    samples,
    trades,
    ...(runs?.CANARY || runs?.STABLE ? { runs } : {}),
  });
  return { ...rest, events: events.map(writeEvent) };
}

/** Parts of a document: a long one is written in parts, so that other work runs in between. */
export const writeEvents = (events: readonly CanaryEvent[]) => events.map(writeEvent);
export const writeSamples = (samples: readonly Sample[]) =>
  samples.map((sample) => z.encode(sampleCodec, sample));
export const writeTrades = (trades: readonly RecordedTrade[]) =>
  trades.map((trade) => z.encode(recordedTradeCodec, trade));

/**
 * Reads an untrusted document: checks every field and the bounds of the configuration, and replays the log, which must
 * lead to the state in the summary.
 */
export function fromDocument(document: unknown, path: readonly string[] = ['document']): Parsed<Archive> {
  const read = z.safeDecode(documentCodec, document as ReadableDocument);
  if (!read.success) {
    const violations = read.error.issues.map(
      (issue): Violation => ({
        path: [...path, ...issue.path.map(String)],
        message: issue.message,
      }),
    );
    return { ok: false, violations };
  }
  const { deployment, metrics, breaches, samples, trades, runs, events, clockRate } = read.data;
  const refuse = (message: string, ...at: string[]): Parsed<Archive> => ({
    ok: false,
    violations: [{ path: [...path, ...at], message }],
  });
  let state: DeploymentState;
  try {
    state = replay(events);
  } catch (error) {
    return refuse(`does not replay: ${error instanceof Error ? error.message : String(error)}`, 'events');
  }
  const misconfigured = configViolations(events, path);
  if (misconfigured.length > 0) return { ok: false, violations: misconfigured };
  const derived: DeploymentDocument['deployment'] = toDocument({ ...read.data, runs, state }).deployment;
  for (const [field, value] of Object.entries(deployment)) {
    const replayed = Object.entries(derived).find(([name]) => name === field)?.[1];
    if (replayed !== value) {
      return refuse(`is ${String(value)}, but the events lead to ${String(replayed)}`, 'deployment', field);
    }
  }
  const archive = {
    state,
    metrics,
    breaches,
    samples,
    trades,
    runs,
    events,
    ...(clockRate === undefined || clockRate === 1 ? {} : { clockRate }),
  };
  const violations = [
    ...boundViolations(archive, path),
    ...decisionViolations(events, path),
    ...SIDES.flatMap((side) => brokenTrades(archive, side, path)),
  ];
  return violations.length > 0 ? { ok: false, violations } : { ok: true, value: archive };
}

const TRADE_AMOUNTS = ['pnlUsd', 'feesUsd', 'gasUsd', 'notionalUsd', 'capitalUsd'] as const;

/** Violations of a side's trades: each on its own, and that they add up to the side's metrics. */
function brokenTrades(archive: Archive, side: Side, path: readonly string[]): Violation[] {
  const trades = archive.trades[side];
  if (!trades) return [];
  const at = [...path, 'trades', side];
  const from = observationOf(archive.state)?.startedAt;
  const metrics = archive.metrics[side];
  if (from === undefined || !metrics) return [{ path: at, message: 'cannot be: the side has no metrics' }];
  const ids = new Set<string>();
  for (const [index, trade] of trades.entries()) {
    const here = [...at, String(index)];
    const violations = tradeViolations(trade, { from, to: trade.recordedAt }, here);
    if (violations.length > 0) return violations;
    const [wrong] = TRADE_AMOUNTS.flatMap((field) => exact(field, trade[field]));
    if (wrong) return [{ path: [...here, wrong[0]], message: wrong[1] }];
    if (!trade.capitalUsd.gt(0)) return [{ path: [...here, 'capitalUsd'], message: 'must be above 0' }];
    if (ids.has(trade.id)) return [{ path: [...here, 'id'], message: `${trade.id} appears twice` }];
    ids.add(trade.id);
  }
  const closed = toStoredMetrics(metricsOf(addTrades(trades), metrics.reportedAt));
  const { unrealizedPnlUsd } = metrics;
  // Open positions are in the net PnL, and may have made the drawdown deeper than closed trades did.
  const recorded = toStoredMetrics(
    unrealizedPnlUsd === undefined
      ? metrics
      : { ...metrics, netPnlUsd: metrics.netPnlUsd.minus(unrealizedPnlUsd) },
  );
  const derived = unrealizedPnlUsd === undefined ? closed : { ...closed, maxDrawdown: recorded.maxDrawdown };
  const differs = Object.entries(derived).find(([name, value]) => recorded[name] !== value);
  if (!differs) return [];
  const [field, value] = differs;
  return [{ path: [...path, 'metrics', side, field], message: `is not ${value}, which the trades lead to` }];
}

const toStoredMetrics = (metrics: SideMetrics): Record<string, unknown> => sideMetricsCodec.encode(metrics);
