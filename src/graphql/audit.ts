/** The audit trail: what people, bots and Serin did; only administrators can read it. */
import { AUDIT_ACTIONS, type AuditRecord, pageAuditRecords } from '../store/access/audit.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { parseNumber } from './cursors.ts';
import { AFTER, FIRST, readCursor, readPage, toConnection } from './paging.ts';

const AuditAction = builder.enumType('AuditAction', {
  description:
    'What was done, or asked for: a command on a deployment by its name, or an action of an administrator.',
  values: AUDIT_ACTIONS,
});

const AuditRecordType = builder.objectRef<AuditRecord>('AuditRecord').implement({
  description:
    'One command of a person, a bot or Serin, or one action of an administrator. Refused commands are recorded too, 100 of ' +
    'a caller a minute on each node; those beyond are one record, of the last of them, with their number in ' +
    '`details.refusals`.',
  fields: (t) => ({
    id: t.id({ description: 'Increases with every record.', resolve: ({ id }) => id.toString() }),
    at: t.expose('at', { type: 'DateTime', description: 'When it happened, in real time.' }),
    actor: t.exposeString('actor', { description: 'Who did it.' }),
    action: t.expose('action', { type: AuditAction, description: 'What was done.' }),
    subject: t.exposeID('subject', { description: 'Id of the object of the action.' }),
    reason: t.string({
      nullable: true,
      description: 'The reason that was given; null if there was none.',
      resolve: ({ details: { reason } }) => (typeof reason === 'string' ? reason : null),
    }),
    outcome: t.string({
      description:
        '`DONE`; `REQUESTED` where another person must approve; the `ErrorCode` of a refusal otherwise.',
      resolve: ({ details: { outcome } }) => (typeof outcome === 'string' ? outcome : 'DONE'),
    }),
    details: t.expose('details', { type: 'JSON', description: 'Details of the action; never a secret.' }),
  }),
});

const AuditRecordConnection = connectionType('AuditRecord', AuditRecordType, {
  one: 'a record',
  many: 'audit records',
});

const AuditFilterInput = builder.inputType('AuditFilter', {
  description: 'Which records; omitted fields exclude none.',
  fields: (t) => ({
    actor: t.string({ description: 'Only of this actor; `serin` for automatic actions.' }),
    actions: t.field({ type: [AuditAction], description: 'Only these actions.' }),
    subject: t.id({ description: 'Only about this object, such as a deployment.' }),
    from: t.field({ type: 'DateTime', description: 'Only from this instant on, in real time.' }),
    to: t.field({ type: 'DateTime', description: 'Only before this instant, in real time.' }),
  }),
});

builder.queryField('auditRecords', (t) =>
  t.field({
    type: AuditRecordConnection,
    description: 'What people, bots and Serin did, newest first. Requires the role ADMIN.',
    args: {
      filter: t.arg({ type: AuditFilterInput, description: 'Which records.' }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
    },
    resolve: async (_root, args, { reads, actor }) => {
      const page = readPage(args);
      const found = await pageAuditRecords(reads.db, {
        scope: actor.strategies,
        limit: page.limit + 1,
        after: readCursor('after', args.after, parseNumber),
        filter: {
          actor: args.filter?.actor ?? undefined,
          actions: args.filter?.actions ?? undefined,
          subject: args.filter?.subject ?? undefined,
          from: args.filter?.from ?? undefined,
          to: args.filter?.to ?? undefined,
        },
      });
      return toConnection(found, page, args, ({ id }) => id.toString());
    },
  }),
);
