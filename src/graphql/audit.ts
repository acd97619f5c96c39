/** What administrators did, for administrators. */
import { AUDIT_ACTIONS, type AuditRecord, pageAuditRecords } from '../store/access/audit.ts';
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

const AuditAction = builder.enumType('AuditAction', {
  description: 'What an administrator did.',
  values: AUDIT_ACTIONS,
});

const AuditRecordType = builder.objectRef<AuditRecord>('AuditRecord').implement({
  description: 'One act of an administrator. What was done to deployments is in their own events.',
  fields: (t) => ({
    id: t.id({ description: 'Counts up.', resolve: ({ id }) => id.toString() }),
    at: t.expose('at', { type: 'DateTime', description: 'When, in real time.' }),
    actor: t.exposeString('actor', { description: 'Who.' }),
    action: t.expose('action', { type: AuditAction, description: 'What.' }),
    subject: t.exposeID('subject', { description: 'The id of what it was done to.' }),
    details: t.expose('details', { type: 'JSON', description: 'What it was about; never a secret.' }),
  }),
});

const AuditRecordEdge = builder.objectRef<Edge<AuditRecord>>('AuditRecordEdge').implement({
  description: 'A record in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place.' }),
    node: t.expose('node', { type: AuditRecordType, description: 'The record.' }),
  }),
});

const AuditRecordConnection = builder.objectRef<Connection<AuditRecord>>('AuditRecordConnection').implement({
  description: 'A page of audit records.',
  fields: (t) => ({
    edges: t.field({
      type: [AuditRecordEdge],
      description: 'The records.',
      resolve: ({ edges }) => [...edges],
    }),
    nodes: t.field({
      type: [AuditRecordType],
      description: 'The records without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Where the page stands.' }),
  }),
});

const parseId = (cursor: string) => (/^\d{1,18}$/.test(cursor) ? BigInt(cursor) : null);

builder.queryField('auditRecords', (t) =>
  t.field({
    type: AuditRecordConnection,
    description: 'What administrators did, the newest first. For administrators.',
    args: { first: t.arg.int({ description: FIRST }), after: t.arg.string({ description: AFTER }) },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const found = await pageAuditRecords(app.db, {
        scope: actor.strategies,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parseId),
      });
      return toConnection(found, page, args, ({ id }) => id.toString());
    },
  }),
);
