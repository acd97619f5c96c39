/**
 * Seals the audit trail every second, on one node at a time, and logs the newest block once an hour on every node: a log
 * outside of the database shows if the whole chain is made anew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { RECORDS_A_BLOCK, readAuditChain, sealAuditRecords } from '../store/log/auditChain.ts';

/** Real milliseconds between two blocks, unless the first was full. */
const SEAL_EVERY_MS = 1000;
/** Real milliseconds between two lines in the log. */
const LOG_EVERY_MS = 3_600_000;

export interface AuditSealer {
  /** Finishes the block in flight and stops. */
  stop(): Promise<void>;
}

export interface AuditSealerParts {
  readonly db: PostgresJsDatabase;
  readonly log: Logger;
}

export function startAuditSealer({ db, log }: AuditSealerParts): AuditSealer {
  const stopping = new AbortController();
  let logAt = performance.now();
  let loggedNumber = 0;
  const running = run();

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const block = await sealAuditRecords(db);
        if (block?.records === RECORDS_A_BLOCK) continue;
        if (performance.now() >= logAt) await logHead();
      } catch (error) {
        log.warn({ error }, 'the audit trail cannot be sealed; trying again');
      }
      await sleep(SEAL_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
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
      stopping.abort();
      await running;
    },
  };
}
