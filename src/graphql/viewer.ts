/** The caller and its rights. */
import type { Actor, Role } from '../access/actor.ts';
import { builder } from './builder.ts';

export const RoleType = builder.enumType('Role', {
  description: 'Rights of a caller. Each role includes the rights of the roles before it.',
  values: {
    VIEWER: { description: 'Read and subscribe.' },
    BOT: { description: 'Report metrics and trades, and acknowledge allocations.' },
    OPERATOR: { description: 'Create deployments and run all lifecycle commands.' },
    ADMIN: {
      description:
        'Manage API keys. Every caller is ADMIN if Serin runs without authentication on a local address.',
    },
  } satisfies Record<Role, { description: string }>,
});

export const STRATEGIES =
  'Patterns of strategy names with `*` for any characters, such as `eth-*`. Other strategies are invisible; null means all strategies.';

const Viewer = builder.objectRef<Actor>('Viewer').implement({
  description: 'The caller.',
  fields: (t) => ({
    actor: t.exposeString('name', { description: 'Name recorded as the actor of its actions.' }),
    role: t.expose('role', { type: RoleType, description: 'Role of the caller.' }),
    strategies: t.stringList({
      nullable: true,
      description: STRATEGIES,
      resolve: ({ strategies }) => strategies && [...strategies],
    }),
    person: t.string({
      nullable: true,
      description:
        'The person, where acts need two people; null if the caller is no known person and does not count.',
      resolve: ({ person }) => person?.id,
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'The caller and its rights.',
    resolve: (_root, _args, { actor }) => actor,
  }),
);
