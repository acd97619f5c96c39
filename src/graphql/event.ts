/** Events and decisions: a deployment's log as clients read it. */
import { describeEvent } from '../core/lifecycle/describe.ts';
import { DECISION_CAUSES, type DecisionRecord, EVENT_TYPES } from '../core/lifecycle/events.ts';
import type { DeploymentState } from '../core/lifecycle/state.ts';
import { observationOf } from '../core/lifecycle/state.ts';
import type { CanaryDecision } from '../core/rule/gate.ts';
import type { Side } from '../core/values/side.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { epochOf, eventId } from '../store/log/incarnations.ts';
import type { LogEntry } from '../store/log/logEntry.ts';
import { formatCursor } from '../store/log/position.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { CanaryComparison, type ComparisonView, DecisionType, type SideView } from './metrics.ts';
import type { Connection } from './paging.ts';
import { costs } from './price.ts';

export const EventTypeEnum = builder.enumType('CanaryEventType', {
  description:
    'Types of the events in a deployment’s log. UNKNOWN: written by a later version of Serin than the node that answers; ' +
    '`details` has all of it.',
  values: EVENT_TYPES,
});

export const DecisionCause = builder.enumType('DecisionCause', {
  description: 'What caused a decision.',
  values: DECISION_CAUSES,
});

/** The body of an event as JSON, without the values that other fields show. */
function detailsOf({ event, stored }: LogEntry): unknown {
  const { no, at, actor, revision, type, ...details } = stored;
  return event.type === 'UNKNOWN' ? { type, ...details } : details;
}

/** An event is parsed by the codec of its type. */
export const COST_OF_EVENT = costs(3);

export const EventRef = builder.objectRef<LogEntry>('CanaryEvent').implement({
  description: 'One fact in the log of a deployment. The log is append-only.',
  extensions: COST_OF_EVENT,
  fields: (t) => ({
    id: t.id({
      description:
        'Stable and unique: the deployment and the number of the event, and the epoch of the log after the first.',
      resolve: ({ deploymentId, event, position }) =>
        eventId(deploymentId, event.no, epochOf(position.incarnation)),
    }),
    cursor: t.string({
      description: 'Pass it as `after` to continue after this event.',
      resolve: ({ position }) => formatCursor(position),
    }),
    no: t.int({
      description: 'Number within the deployment, starting at 1, without gaps.',
      resolve: ({ event }) => event.no,
    }),
    type: t.field({
      type: EventTypeEnum,
      description: 'Type of the event.',
      resolve: ({ event }) => event.type,
    }),
    at: t.field({ type: 'DateTime', description: 'When it happened.', resolve: ({ event }) => event.at }),
    actor: t.string({
      description: 'Who caused it; `serin` if it happened automatically.',
      resolve: ({ event }) => event.actor,
    }),
    revision: t.int({
      description: 'The revision of the deployment after this event.',
      resolve: ({ event }) => event.revision,
    }),
    description: t.string({
      description: 'What happened, as a message for people.',
      resolve: ({ event }) => describeEvent(event),
    }),
    details: t.field({
      type: 'JSON',
      description: 'Everything that was recorded, as JSON; amounts are strings.',
      deprecationReason: 'Use `payload`, which is typed.',
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

/** A page of events. */
interface EventPage extends Connection<LogEntry> {
  /** For how long this page has lacked committed events, seconds; undefined if it lacks none. */
  readonly heldBackSeconds?: number | undefined;
}

export const EventConnection = connectionType<EventPage>('CanaryEvent', EventRef, {
  one: 'an event',
  many: 'events',
  cursor: 'Cursor of this event; feeds accept it as `after` too.',
});

builder.objectField(EventConnection, 'heldBackSeconds', (t) =>
  t.float({
    nullable: true,
    description:
      'Null when the page is complete. Otherwise events that belong to it are committed but cannot be read yet: for ' +
      'this many seconds a transaction that is still open in the PostgreSQL server has held back the end of the log.',
    resolve: ({ heldBackSeconds }) => heldBackSeconds,
  }),
);

/** A decision with its log entry. */
export interface DecisionView {
  readonly entry: LogEntry;
  readonly record: DecisionRecord;
  readonly reason: string | null;
  /** The deployment of the decision, in its current state. */
  readonly deployment: DeploymentView;
}

/** The decision of a log entry; null if the entry is not a decision. */
export function decisionOf(entry: LogEntry, deployment: DeploymentView): DecisionView | null {
  const { event } = entry;
  return event.type === 'DECISION_MADE'
    ? { entry, record: event.record, reason: event.reason, deployment }
    : null;
}

function comparisonThen({ entry, record, deployment }: DecisionView): ComparisonView {
  const { state } = deployment;
  const side = (side: Side): SideView => ({
    side,
    versionId: side === 'CANARY' ? state.canaryVersionId : state.stableVersionId,
    capitalUsd: record.capitalUsd[side],
    returned: record.returns[side],
    metrics: record.metrics[side],
    startedAt: startOf(state),
    at: entry.event.at,
    reportedBy: null,
  });
  return { comparison: record.comparison, side, outlook: () => null };
}

const startOf = (state: DeploymentState) => observationOf(state)?.startedAt ?? state.createdAt;

export const DecisionRef = builder.objectRef<DecisionView>('CanaryDecisionRecord').implement({
  description: 'A decision with all its inputs, so that it can be explained years later.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Its cursor in the log.',
      resolve: ({ entry }) => formatCursor(entry.position),
    }),
    eventNo: t.int({
      description: 'Number of its event in the deployment.',
      resolve: ({ entry }) => entry.event.no,
    }),
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
      description: 'Whether Serin decided automatically.',
      resolve: ({ record }) => record.automatic,
    }),
    cause: t.field({
      type: DecisionCause,
      description: 'What caused it.',
      resolve: ({ record }) => record.cause,
    }),
    at: t.field({ type: 'DateTime', description: 'When.', resolve: ({ entry }) => entry.event.at }),
    actor: t.string({
      description: 'Who decided; `serin` if automatic.',
      resolve: ({ entry }) => entry.event.actor,
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      description: 'Reason given by the person or bot.',
    }),
    configHash: t.string({
      description: 'Hash of the configuration it was made with.',
      resolve: ({ record }) => record.configHash,
    }),
    comparison: t.field({
      type: CanaryComparison,
      description: 'The comparison at that time.',
      resolve: comparisonThen,
    }),
    deployment: t.field({
      type: DeploymentRef,
      description: 'The deployment as it is now.',
      resolve: ({ deployment }) => deployment,
    }),
    record: t.field({
      type: 'JSON',
      description: 'The record as stored in the log: computing it again gives the same decision.',
      resolve: ({ entry }) => detailsOf(entry),
    }),
  }),
});
