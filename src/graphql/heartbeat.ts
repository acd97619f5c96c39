/** The heartbeat of a bot, and its result. */
import type { HeartbeatAnswer } from '../app/heartbeats.ts';
import type { Side } from '../core/values/side.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { readClock } from '../store/postgres/database.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { leaseFields } from './lease.ts';
import { SideType } from './metrics.ts';
import { DomainError } from './results.ts';

const HeartbeatInput = builder.inputType('HeartbeatInput', {
  description: 'The bot of a side lives and can reach Serin.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: 'The deployment.' }),
    side: t.field({ type: SideType, required: true, description: 'Its side.' }),
    session: t.string({
      description:
        'The run of the bot, as in its reports. One that a later run has replaced prolongs nothing.',
    }),
    stoodDown: t.boolean({
      description:
        "Whether the canary's bot has stood down, because no request of it was answered within the lease: then the " +
        'deployment fails. Default: false.',
    }),
  }),
});

interface Beaten extends HeartbeatAnswer {
  readonly deploymentId: string;
  readonly side: Side;
  readonly stoodDown: boolean;
}

const HeartbeatResult = builder.objectRef<Beaten>('HeartbeatResult').implement({
  description: 'The answer to a heartbeat.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether the heartbeat was accepted. An accepted heartbeat is on disk.',
      resolve: ({ refusal }) => refusal === null,
    }),
    message: t.string({
      description: 'What happened, for people.',
      resolve: ({ refusal, stale, side, stoodDown }) => {
        const name = side.toLowerCase();
        if (refusal) return refusal.message;
        if (stale) return `Another session of the ${name} side began since: nothing has changed`;
        return stoodDown ? `The ${name} side has stood down` : `Heartbeat of the ${name} side taken`;
      },
    }),
    stale: t.exposeBoolean('stale', {
      description: 'Whether another session of the side had begun before, so that this one changed nothing.',
    }),
    now: t.field({
      type: 'DateTime',
      description: "Serin's time of the heartbeat.",
      resolve: async ({ now }, _args, { app }) => now ?? (await readClock(app.db)).now,
    }),
    ...leaseFields(t),
    error: t.expose('refusal', { type: DomainError, nullable: true, description: 'Why it was refused.' }),
    deploymentId: t.exposeID('deploymentId', { description: 'The deployment that was named.' }),
    side: t.expose('side', { type: SideType, description: 'The side.' }),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment after the heartbeat.',
      resolve: ({ deploymentId }, _args, { loaders }): Promise<DeploymentView | null> =>
        loaders.deployment.clear(deploymentId).load(deploymentId),
    }),
  }),
});

builder.mutationField('heartbeat', (t) =>
  t.field({
    type: HeartbeatResult,
    description:
      "The bot of a side lives and can reach Serin. It prolongs the lease of the canary's capital, as every report, " +
      'batch of trades and acknowledgement does that changes something. Also for deployments with a metrics provider.',
    args: { input: t.arg({ type: HeartbeatInput, required: true, description: 'Whose heartbeat.' }) },
    resolve: async (_root, { input }, { heartbeats, actor }): Promise<Beaten> => {
      const { deploymentId, side, session = null } = input;
      const stoodDown = input.stoodDown ?? false;
      const answer = await heartbeats.take(actor, { deploymentId, side, session, stoodDown });
      return { deploymentId, side, stoodDown, ...answer };
    },
  }),
);
