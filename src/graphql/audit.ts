/** The audit trail of administrators' actions; only administrators can read it. */
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
  description: 'Kind of an administrator’s action.',
  values: AUDIT_ACTIONS,
});

const AuditRecordType = builder.objectRef<AuditRecord>('AuditRecord').implement({
  description:
    'One action of an administrator. Actions on deployments are recorded as events of the deployment.',
  fields: (t) => ({
    id: t.id({ description: 'Increases with every record.', resolve: ({ id }) => id.toString() }),
    at: t.expose('at', { type: 'DateTime', description: 'When it happened, in real time.' }),
    actor: t.exposeString('actor', { description: 'Who did it.' }),
    action: t.expose('action', { type: AuditAction, description: 'What was done.' }),
    subject: t.exposeID('subject', { description: 'Id of the object of the action.' }),
    details: t.expose('details', { type: 'JSON', description: 'Details of the action; never a secret.' }),
  }),
});

const AuditRecordEdge = builder.objectRef<Edge<AuditRecord>>('AuditRecordEdge').implement({
  description: 'A record in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Cursor of this item.' }),
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
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Position of this page in the list.' }),
  }),
});

const parseId = (cursor: string) => (/^\d{1,18}$/.test(cursor) ? BigInt(cursor) : null);

builder.queryField('auditRecords', (t) =>
  t.field({
    type: AuditRecordConnection,
    description: 'Actions of administrators, newest first. Requires the role ADMIN.',
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
