/** API keys: create, revoke and list them. */

import { z } from 'zod';
import { type KeyAnswer, messageOf } from '../access/keys.ts';
import { type ApiKey, pageApiKeys } from '../store/access/apiKeys.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { formatPlace, placeParser, placeText } from './cursors.ts';
import { SideType } from './metrics.ts';
import { AFTER, FIRST, readCursor, readPage, toConnection } from './paging.ts';
import { DomainError } from './results.ts';
import { RoleType, STRATEGIES } from './viewer.ts';

const SIDES = 'Sides that it may report and acknowledge for; null means both.';
const PERSON =
  'The person who holds it, such as `ada@example.org`; null if it is no person’s. Where two people are needed, only keys with ' +
  'a person count, and all keys of one person are the same person.';

const ApiKeyType = builder.objectRef<ApiKey>('ApiKey').implement({
  description:
    'A credential of a bot, a person or a program. The secret key was shown once and is not stored.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Readable and stable.' }),
    prefix: t.string({
      description: 'First characters of the secret key.',
      resolve: ({ id }) => `serin_${id.replace(/^key_/, '')}`,
    }),
    name: t.exposeString('name', { description: 'Name recorded as the actor of its actions.' }),
    role: t.expose('role', { type: RoleType, description: 'Role of the key.' }),
    strategies: t.stringList({
      nullable: true,
      description: STRATEGIES,
      resolve: ({ strategies }) => strategies && [...strategies],
    }),
    sides: t.field({
      type: [SideType],
      nullable: true,
      description: SIDES,
      resolve: ({ sides }) => sides && [...sides],
    }),
    person: t.exposeString('person', { nullable: true, description: PERSON }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    createdBy: t.exposeString('createdBy', { description: 'Who created it.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it expires, in real time; null if it never expires.',
    }),
    expired: t.exposeBoolean('expired', { description: 'Whether it has expired.' }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null if it was not revoked.',
    }),
    revokedBy: t.exposeString('revokedBy', { nullable: true, description: 'Who revoked it.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null if never used.',
    }),
  }),
});

const ApiKeyConnection = connectionType('ApiKey', ApiKeyType, { one: 'a key', many: 'keys' });

const parsePosition = placeParser(z.tuple([placeText, placeText]).transform(([name, id]) => ({ name, id })));

builder.queryField('apiKeys', (t) =>
  t.field({
    type: ApiKeyConnection,
    description: 'API keys in order of name, including revoked and expired keys. Requires the role ADMIN.',
    args: { first: t.arg.int({ description: FIRST }), after: t.arg.string({ description: AFTER }) },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const found = await pageApiKeys(app.db, {
        scope: actor.strategies,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parsePosition),
      });
      return toConnection(found, page, args, ({ name, id }) => formatPlace(name, id));
    },
  }),
);

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description:
    'A new API key. Its rights cannot be changed: to change them, create another key and revoke this one.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'Name recorded as the actor of its actions; unique among the valid keys.',
    }),
    role: t.field({ type: RoleType, required: true, description: 'Role of the key.' }),
    strategies: t.stringList({ description: STRATEGIES }),
    sides: t.field({ type: [SideType], description: SIDES }),
    person: t.string({ description: PERSON }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'When it expires, in real time; never expires if omitted.',
    }),
    expiresInSeconds: t.int({
      description:
        'Seconds of real time until it expires, counted by the server, instead of `expiresAt` (1 to 315360000).',
    }),
  }),
});

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key to revoke.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Id or name of the key.' }),
  }),
});

const resultOf = (name: string, description: string) =>
  builder.objectRef<KeyAnswer>(name).implement({
    description,
    fields: (t) => ({
      success: t.boolean({
        description: 'Whether the mutation succeeded. If true, the change is on disk.',
        resolve: ({ refusal }) => refusal === null,
      }),
      message: t.string({
        description: 'What happened, for people.',
        resolve: messageOf,
      }),
      error: t.expose('refusal', {
        type: DomainError,
        nullable: true,
        description: 'Why the mutation was refused; null if it succeeded.',
      }),
      apiKey: t.expose('apiKey', {
        type: ApiKeyType,
        nullable: true,
        description: 'The key, without its secret.',
      }),
    }),
  });

const RevokeApiKeyResult = resultOf('RevokeApiKeyResult', 'Result of `revokeApiKey`.');
const CreateApiKeyResult = resultOf('CreateApiKeyResult', 'Result of `createApiKey`.');
builder.objectField(CreateApiKeyResult, 'key', (t) =>
  t.exposeString('key', {
    nullable: true,
    description: 'The secret key, for `Authorization: Bearer …`. Only this result contains it.',
  }),
);

builder.mutationFields((t) => ({
  createApiKey: t.field({
    type: CreateApiKeyResult,
    description:
      'Creates an API key. Requires the role ADMIN; a key cannot see more strategies than its creator.',
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'The new key.' }) },
    resolve: (_root, { input }, { access, actor }) =>
      access.createKey(actor, {
        name: input.name,
        role: input.role,
        strategies: input.strategies ?? null,
        sides: input.sides ?? null,
        person: input.person ?? null,
        expiresAt: input.expiresAt ?? null,
        expiresInSeconds: input.expiresInSeconds ?? null,
      }),
  }),
  revokeApiKey: t.field({
    type: RevokeApiKeyResult,
    description:
      'Revokes an API key: requests with it are refused immediately, and its live subscriptions end within seconds.',
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'Which key.' }) },
    resolve: (_root, { input }, { access, actor }) => access.revokeKey(actor, input.id),
  }),
}));
