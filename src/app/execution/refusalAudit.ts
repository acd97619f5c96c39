/**
 * Refused commands in the audit trail: those of a caller one by one up to a bound, beyond it as one record with their
 * number. A loop must not fill the trail, and what it did must show. Counted on each node, in real time.
 */
import { LRUCache } from 'lru-cache';
import type { NewAuditRecord } from '../../store/access/audit.ts';

/** Refusals of one caller that have records of their own. */
const MAX_A_MINUTE = 100;
const MINUTE_MS = 60_000;
/** Callers that are counted; the minute of the least recently refused one ends early. */
const MAX_CALLERS = 10_000;

export interface RefusalAudit {
  /** Returns the record if it is to be written with the refusal; null beyond the bound, where it is counted. */
  take(caller: string, record: NewAuditRecord): NewAuditRecord | null;
  /**
   * Appends the counts of the minutes that are over; those that could not be written are kept.
   * @param all also of minutes that are not over, because the node stops
   */
  flush(append: (records: readonly NewAuditRecord[]) => Promise<void>, all?: boolean): Promise<void>;
}

interface Minute {
  readonly since: number;
  refusals: number;
  /** The last one beyond the bound. */
  last: NewAuditRecord | null;
}

export function createRefusalAudit(): RefusalAudit {
  const due: NewAuditRecord[] = [];
  const minutes = new LRUCache<string, Minute>({
    max: MAX_CALLERS,
    dispose({ refusals, last }) {
      if (last) due.push({ ...last, details: { ...last.details, refusals: refusals - MAX_A_MINUTE } });
    },
  });
  const isOver = ({ since }: Minute) => performance.now() - since >= MINUTE_MS;

  return {
    take(caller, record) {
      const known = minutes.get(caller);
      const minute = known && !isOver(known) ? known : { since: performance.now(), refusals: 0, last: null };
      if (minute !== known) minutes.set(caller, minute);
      minute.refusals += 1;
      if (minute.refusals <= MAX_A_MINUTE) return record;
      minute.last = record;
      return null;
    },
    async flush(append, all = false) {
      for (const [caller, minute] of minutes.entries()) if (all || isOver(minute)) minutes.delete(caller);
      const records = [...due];
      if (records.length === 0) return;
      await append(records);
      due.splice(0, records.length);
    },
  };
}
