/** The schema builder: what every type of the API is made with, and what every resolver has at hand. */
import SchemaBuilder from '@pothos/core';
import type DataLoader from 'dataloader';
import type { Access } from '../access/access.ts';
import type { Commands } from '../app/commands.ts';
import type { Actor, App } from '../app/context.ts';
import type { Reports } from '../app/reports.ts';
import type { Decimal } from '../core/values/decimal.ts';
import type { Feed } from '../feed/feed.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import type { Strategy } from '../store/deployments/strategies.ts';
import type { LogPosition } from '../store/log/eventLog.ts';
import type { DeliveryAttempt } from '../store/webhooks/deliveries.ts';
import { DateTimeScalar, DecimalScalar, JsonScalar } from './scalars.ts';

/** Rows asked for in one request are read together, once. */
export interface Loaders {
  readonly deployment: DataLoader<string, DeploymentView | null>;
  readonly strategy: DataLoader<string, Strategy | null>;
  /** When its history was archived; null where it was not. */
  readonly archivedAt: DataLoader<string, number | null>;
  readonly attempts: DataLoader<bigint, DeliveryAttempt[]>;
}

/** Where in the log the delivery under way stands: who shares a feed leaves out what was there before it came. */
export interface DeliveryPosition {
  at: LogPosition | null;
}

export interface Context {
  readonly app: App;
  readonly feed: Feed;
  readonly commands: Commands;
  readonly reports: Reports;
  readonly access: Access;
  readonly actor: Actor;
  /** What the actor sees, one set a request; a subscription clears it before every delivery. */
  readonly loaders: Loaders;
  readonly position: DeliveryPosition;
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

builder.addScalarType('Decimal', DecimalScalar);
builder.addScalarType('DateTime', DateTimeScalar);
builder.addScalarType('JSON', JsonScalar);

builder.queryType({ description: 'Everything that can be read.' });
builder.mutationType({
  description:
    'Everything that can be done. Each mutation takes one `input` and answers one result; a refusal is data ' +
    '(`success: false` and `error`), and what answered `success: true` is on disk.',
});
builder.subscriptionType({
  description:
    'Live feeds, over WebSocket (graphql-transport-ws) or SSE on the same address. Feeds with a `cursor` can be ' +
    'resumed with `after` and deliver every event once; the others show the newest state.',
});

/** An object of the API that `node` finds by its id. */
export const Node = builder.interfaceRef<DeploymentView | Strategy>('Node').implement({
  description: 'Something with a stable id that `node` can find again.',
  fields: (t) => ({
    id: t.id({
      description: 'Readable and stable, usable in `node`.',
      resolve: (found) => ('state' in found ? found.state.id : found.id),
    }),
  }),
});
