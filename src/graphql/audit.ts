/** The audit trail of administrators' actions; only administrators can read it. */
import { AUDIT_ACTIONS, type AuditRecord, pageAuditRecords } from '../store/access/audit.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { AFTER, FIRST, readCursor, readPage, toConnection } from './paging.ts';

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

const AuditRecordConnection = connectionType('AuditRecord', AuditRecordType, {
  one: 'a record',
  many: 'audit records',
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
