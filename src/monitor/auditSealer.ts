/**
 * Seals the audit trail every second, on one node at a time, and logs the newest block once an hour on every node: a log
 * outside of the database shows if the whole chain is made anew.
 */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import type { RefusalAudit } from '../app/execution/refusalAudit.ts';
import { appendAuditRecords, type NewAuditRecord } from '../store/access/audit.ts';
import { RECORDS_A_BLOCK, readAuditChain, sealAuditRecords } from '../store/log/auditChain.ts';
import { type Job, repeat } from './repeat.ts';

/** Real milliseconds between two blocks, unless the first was full. */
const SEAL_EVERY_MS = 1000;
/** Real milliseconds between two lines in the log. */
const LOG_EVERY_MS = 3_600_000;

export interface AuditSealerParts {
  readonly db: PostgresJsDatabase;
  readonly log: Logger;
  /** Its counts are written before the block that they belong to. */
  readonly refusals: RefusalAudit;
}

export function startAuditSealer({ db, log, refusals }: AuditSealerParts): Job {
  const append = (records: readonly NewAuditRecord[]) => appendAuditRecords(db, records);
  let logAt = performance.now();
  let loggedNumber = 0;
  const sealing = repeat(seal);

  async function seal(): Promise<number> {
    try {
      await refusals.flush(append);
      const block = await sealAuditRecords(db);
      if (block?.records === RECORDS_A_BLOCK) return 0;
      if (performance.now() >= logAt) await logHead();
    } catch (error) {
      log.warn({ error }, 'the audit trail cannot be sealed; trying again');
    }
    return SEAL_EVERY_MS;
  }

  async function logHead(): Promise<void> {
    logAt = performance.now() + LOG_EVERY_MS;
    const { head } = await readAuditChain(db);
    if (!head || head.number === loggedNumber) return;
    loggedNumber = head.number;
    log.info({ auditBlock: head.number, auditHash: head.hash }, 'the audit trail is sealed up to this block');
  }

  return {
    async stop() {
      await sealing.stop();
      await refusals
        .flush(append, true)
        .catch((error: unknown) => log.warn({ error }, 'the last counts of refusals cannot be written'));
    },
  };
}
