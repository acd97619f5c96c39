/**
 * What an import verifies of a document beyond its form: every decision and every change of the configuration follows
 * from its own record and from the log before it, and nothing in it happened after the clock of the importer.
 */
import { z } from 'zod';
import { configChanges } from '../config/classify.ts';
import { configHash } from '../config/config.ts';
import { parseConfig } from '../config/parseConfig.ts';
import { progressOf } from '../lifecycle/configUpdate.ts';
import { type CanaryEvent, eventCodec } from '../lifecycle/events.ts';
import { evolve } from '../lifecycle/evolve.ts';
import { recompute } from '../lifecycle/recompute.ts';
import { comparisonInput, type DeploymentState, isWatched } from '../lifecycle/state.ts';
import type { MetricsBySide } from '../metrics/sideMetrics.ts';
import type { RecordedTrade } from '../metrics/trade.ts';
import { type BySide, SIDES } from '../values/side.ts';
import type { Violation } from '../values/violation.ts';

type Decision = Extract<CanaryEvent, { type: 'DECISION_MADE' }>;
type ConfigChange = Extract<CanaryEvent, { type: 'CONFIG_UPDATED' | 'CONFIG_CHANGE_REQUESTED' }>;

/** Decisions that do not follow from their own record, or whose record does not follow from the log before them. */
export function decisionViolations(events: readonly CanaryEvent[], path: readonly string[]): Violation[] {
  let state: DeploymentState | null = null;
  const violations: Violation[] = [];
  for (const [index, event] of events.entries()) {
    const wrong = event.type === 'DECISION_MADE' && state ? wrongDecision(state, event) : null;
    if (wrong)
      violations.push({ path: [...path, 'events', String(index), 'record', wrong[0]], message: wrong[1] });
    state = evolve(state, event);
  }
  return violations;
}

/** Configurations beyond their bounds, and changes of one that do not follow from the log or cannot be made. */
export function configViolations(events: readonly CanaryEvent[], path: readonly string[]): Violation[] {
  let state: DeploymentState | null = null;
  const violations: Violation[] = [];
  for (const [index, event] of events.entries()) {
    const here = [...path, 'events', String(index)];
    if ('config' in event) {
      const parsed = parseConfig(event.config, [...here, 'config'], 'STORED');
      if (!parsed.ok) violations.push(...parsed.violations);
    }
    const wrong = state && 'changes' in event ? wrongChange(state, event) : null;
    if (wrong) violations.push({ path: [...here, wrong[0]], message: wrong[1] });
    state = evolve(state, event);
  }
  return violations;
}

/** The field of a change that is wrong, and why; null if none is. */
function wrongChange(
  state: DeploymentState,
  { before, after, config }: ConfigChange,
): [string, string] | null {
  if (before !== configHash(state.config)) return ['before', 'is not the hash of the configuration before'];
  if (after !== configHash(config)) return ['after', 'is not the hash of the configuration after'];
  const fixed = configChanges(state.config, config, progressOf(state)).find(
    ({ effect }) => effect === 'FIXED',
  );
  return fixed ? ['config', `changes ${fixed.field}, which cannot change while the canary runs`] : null;
}

/** The field of a record that is wrong, and why; null if none is. */
function wrongDecision(state: DeploymentState, event: Decision): [string, string] | null {
  const { record } = event;
  if (!isWatched(state)) return ['decision', 'was made before or after the deployment was watched'];
  if (record.configHash !== configHash(state.config))
    return ['configHash', 'is not that of the configuration'];
  const { returns, evidence } = comparisonInput(state.observation, record.metrics, state.config);
  if (!isSame(event, { ...record, returns }))
    return ['returns', 'do not follow from the log and the metrics'];
  if (!isSame(event, { ...record, evidence })) return ['evidence', 'does not follow from the log'];
  const again = recompute(record, state);
  if (!isSame(event, { ...record, comparison: again.comparison })) {
    return ['comparison', `is not what the record leads to, which is ${again.comparison.decision}`];
  }
  return again.decision === record.decision
    ? null
    : ['decision', `is ${record.decision}, but the record leads to ${again.decision}`];
}

/** Whether a record is the same in JSON. */
function isSame(event: Decision, record: Decision['record']): boolean {
  const jsonOf = (each: Decision) => JSON.stringify(z.encode(eventCodec, each));
  return jsonOf({ ...event, record }) === jsonOf(event);
}

interface Dated {
  readonly events: readonly CanaryEvent[];
  readonly samples: readonly { readonly at: number }[];
  readonly metrics: MetricsBySide;
  readonly trades: BySide<readonly RecordedTrade[] | null>;
  /** Seconds on the clock of the exporter per real second. */
  readonly clockRate: number;
}

/** The first instant of each list that is later than `latest`, epoch milliseconds. */
export function instantViolations(archive: Dated, latest: number, path: readonly string[]): Violation[] {
  const { events, samples, metrics, trades, clockRate } = archive;
  const rate = clockRate === 1 ? '' : `, and the clock of this document ran at ${clockRate} times real time`;
  const late = (at: number | undefined, ...where: string[]): Violation[] =>
    at === undefined || at <= latest
      ? []
      : [
          {
            path: [...path, ...where],
            message: `is ${new Date(at).toISOString()}, later than the clock of this server${rate}`,
          },
        ];
  const first = (found: readonly Violation[]) => found.slice(0, 1);
  return [
    ...first(events.flatMap(({ at }, index) => late(at, 'events', String(index), 'at'))),
    ...first(samples.flatMap(({ at }, index) => late(at, 'samples', String(index), 'at'))),
    ...SIDES.flatMap((side) => [
      ...late(metrics[side]?.reportedAt, 'metrics', side, 'reportedAt'),
      ...late(metrics[side]?.asOf, 'metrics', side, 'asOf'),
      ...first(
        (trades[side] ?? []).flatMap(({ at, recordedAt }, index) => [
          ...late(at, 'trades', side, String(index), 'at'),
          ...late(recordedAt, 'trades', side, String(index), 'recordedAt'),
        ]),
      ),
    ]),
  ];
}
