/** The lease of the canary's capital, as deployments and the results of what prolongs it show it. */
import type { FieldMap } from '@pothos/core';
import { leaseEndsAt, leaseOf } from '../core/lifecycle/lease.ts';
import { observationOf } from '../core/lifecycle/state.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { readClock } from '../store/postgres/database.ts';
import { builder, type SchemaTypes } from './builder.ts';

const factsOf = ({ now, metrics, heartbeats }: DeploymentView) => ({
  now,
  metrics,
  heartbeatAt: heartbeats.CANARY,
});

/** When the lease ends as things stand, epoch milliseconds; null if there is none. */
export const leaseUntilOf = (view: DeploymentView): number | null => leaseEndsAt(view.state, factsOf(view));

export const CapitalLeaseType = builder.objectRef<DeploymentView>('CapitalLease').implement({
  description:
    'How long the canary may hold capital without a request of its bot that Serin answers. Then the bot stands down automatically, and the deployment fails.',
  fields: (t) => {
    const expired = ({ state }: DeploymentView) => observationOf(state)?.leaseExpired;
    return {
      seconds: t.int({
        description: 'How long it lasts, in seconds on Serin’s clock.',
        resolve: ({ state }) => state.config.capitalLeaseSeconds ?? 0,
      }),
      until: t.field({
        type: 'DateTime',
        nullable: true,
        description:
          'When it ends if the bot is not heard before, or when it ran out; null once the canary is to hold no capital.',
        resolve: (view) => expired(view)?.at ?? leaseUntilOf(view),
      }),
      heartbeatAt: t.field({
        type: 'DateTime',
        nullable: true,
        description:
          'When the bot was last heard: its latest report, batch of trades, acknowledgement or heartbeat. Before the ' +
          'first, when the canary started. Null once the canary is to hold no capital.',
        resolve: (view) => leaseOf(view.state, factsOf(view))?.heardAt,
      }),
      expired: t.boolean({
        description: 'Whether it ran out, so that the deployment failed.',
        resolve: (view) => expired(view) !== undefined,
      }),
      stoodDown: t.boolean({
        description: 'Whether the bot said that it has stood down.',
        resolve: (view) => expired(view)?.stoodDown ?? false,
      }),
    };
  },
});

/** What an answer says of the lease that it prolongs. */
interface Prolonging {
  readonly now: SerinInstant | null;
  /** Seconds on Serin's clock. */
  readonly leaseSeconds: number | null;
}

type Fields = PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, Prolonging>;

/** The fields of a result that prolongs the lease. */
export function leaseFields(t: Fields): FieldMap {
  return {
    leaseSeconds: t.float({
      nullable: true,
      description:
        "Real seconds that the lease of the canary's capital lasts, counted from the moment at which the request was " +
        'sent. Null if this request prolonged none: it was refused or stale, or there is no lease.',
      resolve: async ({ leaseSeconds }, _args, { app }) =>
        leaseSeconds === null ? null : leaseSeconds / (await readClock(app.db)).rate,
    }),
    leaseUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When that lease ends if the bot is not heard again; null if this request prolonged none.',
      resolve: ({ now, leaseSeconds }) =>
        now === null || leaseSeconds === null ? null : now + leaseSeconds * 1000,
    }),
  };
}
