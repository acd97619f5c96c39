/** API keys: making, revoking and listing them. */
import type { KeyAnswer } from '../access/keys.ts';
import { type ApiKey, pageApiKeys } from '../store/access/apiKeys.ts';
import { builder } from './builder.ts';
import {
  AFTER,
  type Connection,
  type Edge,
  FIRST,
  PageInfoType,
  readCursor,
  readPage,
  toConnection,
} from './paging.ts';
import { DomainError } from './results.ts';
import { RoleType, STRATEGIES } from './viewer.ts';

const ApiKeyType = builder.objectRef<ApiKey>('ApiKey').implement({
  description:
    'Credentials of a bot, a person or a program. The key itself was shown once and is kept nowhere.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Readable and stable.' }),
    prefix: t.string({
      description: 'How the key itself begins.',
      resolve: ({ id }) => `serin_${id.replace(/^key_/, '')}`,
    }),
    name: t.exposeString('name', { description: 'What its actions are recorded under.' }),
    role: t.expose('role', { type: RoleType, description: 'What it may do.' }),
    strategies: t.stringList({
      nullable: true,
      description: STRATEGIES,
      resolve: ({ strategies }) => strategies && [...strategies],
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    createdBy: t.exposeString('createdBy', { description: 'Who made it.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'From when on it is no longer good, in real time; null is never.',
    }),
    expired: t.exposeBoolean('expired', { description: 'Whether that time has come.' }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null while it is good.',
    }),
    revokedBy: t.exposeString('revokedBy', { nullable: true, description: 'Who revoked it.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null when never.',
    }),
  }),
});

const ApiKeyEdge = builder.objectRef<Edge<ApiKey>>('ApiKeyEdge').implement({
  description: 'A key in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place.' }),
    node: t.expose('node', { type: ApiKeyType, description: 'The key.' }),
  }),
});

const ApiKeyConnection = builder.objectRef<Connection<ApiKey>>('ApiKeyConnection').implement({
  description: 'A page of keys.',
  fields: (t) => ({
    edges: t.field({ type: [ApiKeyEdge], description: 'The keys.', resolve: ({ edges }) => [...edges] }),
    nodes: t.field({
      type: [ApiKeyType],
      description: 'The keys without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Where the page stands.' }),
  }),
});

/** Names may hold anything that JSON may. */
function parsePlace(cursor: string): { readonly name: string; readonly id: string } | null {
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (!Array.isArray(read)) return null;
    const [name, id]: unknown[] = read;
    return typeof name === 'string' && typeof id === 'string' ? { name, id } : null;
  } catch {
    return null;
  }
}

const formatPlace = ({ name, id }: ApiKey) => Buffer.from(JSON.stringify([name, id])).toString('base64url');

builder.queryField('apiKeys', (t) =>
  t.field({
    type: ApiKeyConnection,
    description: 'API keys by name, also those that are revoked or expired. For administrators.',
    args: { first: t.arg.int({ description: FIRST }), after: t.arg.string({ description: AFTER }) },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const found = await pageApiKeys(app.db, {
        scope: actor.strategies,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parsePlace),
      });
      return toConnection(found, page, args, formatPlace);
    },
  }),
);

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'A new API key. What it may do never changes: make another and revoke this one.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'What its actions are recorded under; no other good key has it.',
    }),
    role: t.field({ type: RoleType, required: true, description: 'What it may do.' }),
    strategies: t.stringList({ description: STRATEGIES }),
    expiresAt: t.field({
      type: 'DateTime',
      description: 'Until when it is good, in real time; for ever unless given.',
    }),
  }),
});

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'Which key to revoke.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'Its id, or its name.' }),
  }),
});

const resultOf = (name: string, description: string) =>
  builder.objectRef<KeyAnswer>(name).implement({
    description,
    fields: (t) => ({
      success: t.boolean({
        description: 'Whether it was done. What was done is on disk.',
        resolve: ({ refusal }) => refusal === null,
      }),
      message: t.string({
        description: 'What happened, for people.',
        resolve: ({ refusal, apiKey, key }) => {
          if (refusal) return refusal.message;
          if (key) return `Key ${apiKey.name} made: keep it now, it is not shown again`;
          return `Key ${apiKey.name} is revoked; what it held open ends within seconds`;
        },
      }),
      error: t.expose('refusal', {
        type: DomainError,
        nullable: true,
        description: 'Why it was refused; null when it was done.',
      }),
      apiKey: t.expose('apiKey', {
        type: ApiKeyType,
        nullable: true,
        description: 'The key, without its secret.',
      }),
    }),
  });

const RevokeApiKeyResult = resultOf('RevokeApiKeyResult', 'The answer of `revokeApiKey`.');
const CreateApiKeyResult = resultOf('CreateApiKeyResult', 'The answer of `createApiKey`.');
builder.objectField(CreateApiKeyResult, 'key', (t) =>
  t.exposeString('key', {
    nullable: true,
    description: 'The key itself, for `Authorization: Bearer …`. It is in this answer and nowhere else.',
  }),
);

builder.mutationFields((t) => ({
  createApiKey: t.field({
    type: CreateApiKeyResult,
    description: 'Makes an API key. For administrators; nobody gives a key more strategies than they have.',
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'What it may do.' }) },
    resolve: (_root, { input }, { access, actor }) =>
      access.createKey(actor, {
        name: input.name,
        role: input.role,
        strategies: input.strategies ?? null,
        expiresAt: input.expiresAt ?? null,
      }),
  }),
  revokeApiKey: t.field({
    type: RevokeApiKeyResult,
    description: 'Revokes an API key: it is refused at once, and its live subscriptions end within seconds.',
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'Which key.' }) },
    resolve: (_root, { input }, { access, actor }) => access.revokeKey(actor, input.id),
  }),
}));
