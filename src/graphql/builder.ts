/** The schema builder for every type of the API, and the context that every resolver receives. */
import SchemaBuilder from '@pothos/core';
import type DataLoader from 'dataloader';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Access } from '../access/access.ts';
import type { Commands } from '../app/commands.ts';
import type { Actor, App } from '../app/context.ts';
import type { Heartbeats } from '../app/heartbeats.ts';
import type { Reports } from '../app/reports.ts';
import type { Decimal } from '../core/values/decimal.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import type { Feed } from '../feed/feed.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import type { StableVersion } from '../store/deployments/stableVersions.ts';
import type { Strategy } from '../store/deployments/strategies.ts';
import type { LogEntry } from '../store/log/logEntry.ts';
import type { LogPosition } from '../store/log/position.ts';
import type { Freeze, StandingFreezes } from '../store/safety/freezes.ts';
import type { DeliveryAttempt } from '../store/webhooks/deliveries.ts';
import { DateTimeScalar, DecimalScalar, JsonScalar } from './scalars.ts';

/** Each row needed by a request is read once, together with the other rows of its kind. */
export interface Loaders {
  readonly deployment: DataLoader<string, DeploymentView | null>;
  readonly strategy: DataLoader<string, Strategy | null>;
  /** When the deployment's history was archived; null if it was not. */
  readonly archivedAt: DataLoader<string, number | null>;
  readonly attempts: DataLoader<bigint, DeliveryAttempt[]>;
  /** The newest event of a deployment that its summary tells; null if there is none. Not cached. */
  readonly summaryEvent: DataLoader<string, LogEntry | null>;
  /** The live deployments of a strategy that the actor sees. Not cached. */
  readonly liveDeployments: DataLoader<string, readonly DeploymentView[]>;
  /** Every version of a strategy that was stable. Not cached. */
  readonly stableVersions: DataLoader<Strategy, readonly StableVersion[]>;
  /** The standing freezes, of which the actor sees some strategy. */
  readonly freezes: DataLoader<'standing', StandingFreezes>;
  /** The freezes that stand now or stood at some time since an instant, whoever sees them. Not cached. */
  readonly freezesSince: DataLoader<number, readonly Freeze[]>;
}

/** Log position of the delivery in flight. A subscriber that joined a shared feed skips entries before its own start. */
export interface DeliveryPosition {
  at: LogPosition | null;
}

/**
 * What of a list is delivered, and what its delivery in flight is about. Followers of equal lists share the changes, and
 * each reads the first picture itself.
 */
export interface ListDelivery {
  parts: 'ALL' | 'PICTURE' | 'CHANGES';
  about: ListPosition | null;
  /** Whether a follower still shows a deployment; for a feed of changes, which may not have it in its own list. */
  isShown: (deploymentId: string) => boolean;
}

/** A deployment as it was read for a delivery. */
export interface ListPosition {
  readonly deploymentId: string | null;
  /** Serin's time of the reading, epoch ms; null in a message that a deployment is gone. */
  readonly now: SerinInstant | null;
  /** When the reading began, on this process's monotonic clock. */
  readonly begunAt: number;
}

/** Where an operation reads what nothing is decided by: the primary, or for lists and exports a replica. */
export interface Reads {
  readonly db: PostgresJsDatabase;
  /** Serin's time, epoch ms, for views that are read there; null where the database itself says it. */
  readonly now: (() => number) | null;
  /** Where the course of a deployment is read, which may be a little behind the deployment itself. */
  course(): Promise<PostgresJsDatabase>;
}

export interface Context {
  readonly app: App;
  readonly reads: Reads;
  readonly feed: Feed;
  readonly commands: Commands;
  readonly reports: Reports;
  readonly heartbeats: Heartbeats;
  readonly access: Access;
  readonly actor: Actor;
  /** Rows visible to the actor. One set per request; a subscription clears it before every delivery. */
  readonly loaders: Loaders;
  readonly position: DeliveryPosition;
  readonly list: ListDelivery;
  readonly presence: CallerPresence;
}

export interface CallerPresence {
  /** Aborted when the caller no longer waits for the operation. */
  readonly signal: AbortSignal;
}

export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    Decimal: { Input: Decimal; Output: Decimal };
    DateTime: { Input: number; Output: number };
    JSON: { Input: unknown; Output: unknown };
  };
}>({ defaultFieldNullability: false });

export type SchemaTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer T> ? T : never;
/** What the fields of an input type are made with. */
export type InputFields = PothosSchemaTypes.InputFieldBuilder<SchemaTypes, 'InputObject'>;

builder.addScalarType('Decimal', DecimalScalar);
builder.addScalarType('DateTime', DateTimeScalar);
builder.addScalarType('JSON', JsonScalar);

builder.queryType({ description: 'All reads.' });
builder.mutationType({
  description:
    'All changes. Each mutation takes one `input` and returns one result; a refusal is data ' +
    '(`success: false` and `error`), and a change with `success: true` is on disk.',
});
builder.subscriptionType({
  description:
    'Live feeds over WebSocket (graphql-transport-ws) or SSE at the same address. A feed with a `cursor` can be ' +
    'resumed with `after` and delivers every event exactly once; the others deliver the newest state.',
});

/** An object that the query `node` finds by its id. */
export const Node = builder.interfaceRef<DeploymentView | Strategy>('Node').implement({
  description: 'An object with a stable id that `node` can read.',
  fields: (t) => ({
    id: t.id({
      description: 'Readable and stable, usable in `node`.',
      resolve: (found) => ('state' in found ? found.state.id : found.id),
    }),
  }),
});
