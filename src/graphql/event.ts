/** Events and decisions: the log of a deployment as clients read it. */
import { z } from 'zod';
import { describeEvent } from '../core/lifecycle/describe.ts';
import { DECISION_CAUSES, type DecisionRecord, EVENT_TYPES, eventCodec } from '../core/lifecycle/events.ts';
import type { DeploymentState } from '../core/lifecycle/state.ts';
import { forSides, observationOf } from '../core/lifecycle/state.ts';
import type { CanaryDecision } from '../core/rule/comparison.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { formatCursor, type LogEntry } from '../store/log/eventLog.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { CanaryComparison, type ComparisonView, DecisionType } from './metrics.ts';
import { type Connection, type Edge, PageInfoType } from './paging.ts';

export const EventTypeEnum = builder.enumType('CanaryEventType', {
  description: 'The kinds of facts in a deployment’s log.',
  values: EVENT_TYPES,
});

export const DecisionCause = builder.enumType('DecisionCause', {
  description: 'What brought a decision about.',
  values: DECISION_CAUSES,
});

/** The body of an event as JSON, without what the other fields say. */
function detailsOf({ event }: LogEntry): unknown {
  const { no, at, actor, revision, type, ...details } = z.encode(eventCodec, event);
  return details;
}

export const EventRef = builder.objectRef<LogEntry>('CanaryEvent').implement({
  description: 'One fact in the log of a deployment. The log is append-only.',
  fields: (t) => ({
    id: t.id({
      description: 'Stable and unique: the deployment and the number of the event.',
      resolve: ({ deploymentId, event }) => `${deploymentId}:${event.no}`,
    }),
    cursor: t.string({
      description: 'Give it as `after` to go on behind this event.',
      resolve: ({ position }) => formatCursor(position),
    }),
    no: t.int({
      description: 'Counts from 1 within the deployment, without a gap.',
      resolve: ({ event }) => event.no,
    }),
    type: t.field({
      type: EventTypeEnum,
      description: 'What kind of fact.',
      resolve: ({ event }) => event.type,
    }),
    at: t.field({ type: 'DateTime', description: 'When it happened.', resolve: ({ event }) => event.at }),
    actor: t.string({
      description: 'Who caused it; `serin` when it happened by itself.',
      resolve: ({ event }) => event.actor,
    }),
    revision: t.int({
      description: 'The revision of the deployment after it.',
      resolve: ({ event }) => event.revision,
    }),
    description: t.string({
      description: 'What happened, in words.',
      resolve: ({ event }) => describeEvent(event),
    }),
    details: t.field({
      type: 'JSON',
      description: 'All that was recorded; amounts are strings.',
      resolve: detailsOf,
    }),
    deploymentId: t.exposeID('deploymentId', { description: 'The deployment it belongs to.' }),
    strategyId: t.exposeID('strategyId', { description: 'The strategy of that deployment.' }),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment as it is now.',
      resolve: ({ deploymentId }, _args, { loaders }) => loaders.deployment.load(deploymentId),
    }),
  }),
});

const EventEdge = builder.objectRef<Edge<LogEntry>>('CanaryEventEdge').implement({
  description: 'An event in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', {
      description: 'The place of this event; feeds take it as `after` too.',
    }),
    node: t.expose('node', { type: EventRef, description: 'The event.' }),
  }),
});

export const EventConnection = builder.objectRef<Connection<LogEntry>>('CanaryEventConnection').implement({
  description: 'A page of events.',
  fields: (t) => ({
    edges: t.field({ type: [EventEdge], description: 'The events.', resolve: ({ edges }) => [...edges] }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Where the page stands.' }),
  }),
});

/** A decision with its place in the log. */
export interface DecisionView {
  readonly entry: LogEntry;
  readonly record: DecisionRecord;
  readonly reason: string | null;
  /** The deployment whose decision it is, as it is now. */
  readonly deployment: DeploymentView;
}

/** The decision of a log entry; null when it is none. */
export function decisionOf(entry: LogEntry, deployment: DeploymentView): DecisionView | null {
  const { event } = entry;
  return event.type === 'DECISION_MADE'
    ? { entry, record: event.record, reason: event.reason, deployment }
    : null;
}

function comparisonThen({ entry, record, deployment }: DecisionView): ComparisonView {
  const { state } = deployment;
  const startedAt = startOf(state);
  const versions = { CANARY: state.canaryVersionId, STABLE: state.stableVersionId };
  const sides = forSides((side) => ({
    side,
    versionId: versions[side],
    capitalUsd: record.capitalUsd[side],
    metrics: record.metrics[side],
    startedAt,
    at: entry.event.at,
  }));
  return { comparison: record.comparison, sides };
}

const startOf = (state: DeploymentState) => observationOf(state)?.startedAt ?? state.createdAt;

export const DecisionRef = builder.objectRef<DecisionView>('CanaryDecisionRecord').implement({
  description: 'A decision with everything it was made of, so that it explains itself years later.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Its place in the log.',
      resolve: ({ entry }) => formatCursor(entry.position),
    }),
    eventNo: t.int({ description: 'The number of its event.', resolve: ({ entry }) => entry.event.no }),
    decision: t.field({
      type: DecisionType,
      description: 'What was decided.',
      resolve: ({ record }): CanaryDecision => record.decision,
    }),
    reasons: t.stringList({
      description: 'Why, the deciding reason first.',
      resolve: ({ record }) => [...record.reasons],
    }),
    automatic: t.boolean({
      description: 'Whether Serin decided by itself.',
      resolve: ({ record }) => record.automatic,
    }),
    cause: t.field({
      type: DecisionCause,
      description: 'What brought it about.',
      resolve: ({ record }) => record.cause,
    }),
    at: t.field({ type: 'DateTime', description: 'When.', resolve: ({ entry }) => entry.event.at }),
    actor: t.string({
      description: 'Who decided; `serin` for an automatic one.',
      resolve: ({ entry }) => entry.event.actor,
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'What the person or bot gave as the reason.',
    }),
    configHash: t.string({
      description: 'The policy it was made under.',
      resolve: ({ record }) => record.configHash,
    }),
    comparison: t.field({
      type: CanaryComparison,
      description: 'The comparison as it was then.',
      resolve: comparisonThen,
    }),
    deployment: t.field({
      type: DeploymentRef,
      description: 'The deployment as it is now.',
      resolve: ({ deployment }) => deployment,
    }),
    record: t.field({
      type: 'JSON',
      description: 'The record as it stands in the log: recomputing it gives the same decision.',
      resolve: ({ entry }) => detailsOf(entry),
    }),
  }),
});
