/** Who asks, and what they may do. */
import type { Actor, Role } from '../access/actor.ts';
import { builder } from './builder.ts';

export const RoleType = builder.enumType('Role', {
  description: 'What a caller may do. Each role may do all that the ones before it may.',
  values: {
    VIEWER: { description: 'Read and subscribe.' },
    BOT: { description: 'Report metrics and trades, and acknowledge allocations.' },
    OPERATOR: { description: 'Create deployments and move them through their life.' },
    ADMIN: { description: 'Manage API keys. Everybody is ADMIN where Serin runs open on its own machine.' },
  } satisfies Record<Role, { description: string }>,
});

export const STRATEGIES =
  'Patterns of strategy names, `*` for any characters: `eth-*`. What lies outside is not there for them; null is every strategy.';

const Viewer = builder.objectRef<Actor>('Viewer').implement({
  description: 'Who asks.',
  fields: (t) => ({
    actor: t.exposeString('name', { description: 'The name that actions are recorded under.' }),
    role: t.expose('role', { type: RoleType, description: 'What the viewer may do.' }),
    strategies: t.stringList({
      nullable: true,
      description: STRATEGIES,
      resolve: ({ strategies }) => strategies && [...strategies],
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'Who asks, and what they may do.',
    resolve: (_root, _args, { actor }) => actor,
  }),
);
