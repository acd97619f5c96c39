/**
 * The hash chain of the audit trail. Records are written without it, so that no act waits for another. One node at a
 * time seals what is settled, in the order of the log (see `eventLog.ts`): a block has the hashes of its records and the
 * hash of the block before it. Whatever is changed, removed or added afterwards, no longer fits.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { AUDIT_SEAL_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import { settledBefore } from './incarnations.ts';

/** Records in a block, at most: what one statement reads. */
export const RECORDS_A_BLOCK = 1000;
/** Blocks that are verified in one statement. */
const BLOCKS_A_PAGE = 200;

/** The hash of a record: SHA-256 of the text of a JSON array of all its columns. The format is in docs/access.md. */
const RECORD_HASH =
  sql.raw(`sha256(convert_to(jsonb_build_array(r.id, (extract(epoch from r.at) * 1000)::bigint, r.actor,
  r.action, r.subject, r.strategies, r.details, r.incarnation, r.xid::text)::text, 'UTF8'))`);

/** The hash of a block: SHA-256 of the hash before it, a JSON array of its number and time, and its records' hashes. */
const blockHash = (before: SQL, number: SQL, sealedAt: SQL, recordHashes: SQL) =>
  sql`sha256(coalesce(${before}, ''::bytea) || convert_to(jsonb_build_array(${number},
    (extract(epoch from ${sealedAt}) * 1000)::bigint)::text, 'UTF8') || ${recordHashes})`;

/** The newest block. Kept outside of the database, its hash shows that the whole chain was not made anew. */
export interface AuditHead {
  readonly number: number;
  /** SHA-256 in hex. */
  readonly hash: string;
}

/** A block that was just made. */
export interface SealedBlock extends AuditHead {
  readonly records: number;
}

/** Seals the next settled records. Returns null if there are none, or another node is at it. */
export async function sealAuditRecords(db: PostgresJsDatabase): Promise<SealedBlock | null> {
  return db.transaction(async (tx) => {
    const [lock] = await tx.execute<{ acquired: boolean }>(
      sql`select pg_try_advisory_xact_lock(${AUDIT_SEAL_LOCK}, quote_ident(current_schema())::regnamespace::oid::integer) as acquired`,
    );
    if (!lock?.acquired) return null;
    const [block] = await tx.execute<{ number: string; hash: string; records: number }>(sql`
      with head as (
        select coalesce(max(number), 0) as number, max(last_incarnation) as last_incarnation,
          coalesce((array_agg(last_xid))[1], '0') as last_xid, coalesce(max(last_id), 0) as last_id,
          (array_agg(hash))[1] as hash
        from (select * from audit_blocks order by number desc limit 1) newest),
      next as (
        select r.incarnation, r.xid, r.id, ${RECORD_HASH} as hash from audit_records r, head
        where (r.incarnation, r.xid, r.id) > (coalesce(head.last_incarnation, -1), head.last_xid, head.last_id)
          and (r.incarnation, r.xid) < ${settledBefore}
        order by r.incarnation, r.xid, r.id limit ${RECORDS_A_BLOCK}),
      block as (
        select head.number + 1 as number, date_trunc('milliseconds', clock_timestamp()) as sealed_at,
          head.hash as before, n.*
        from head, (
          select array_agg(id order by incarnation, xid, id) as ids, count(*)::int as records,
            string_agg(hash, ''::bytea order by incarnation, xid, id) as hashes
          from next) n
        where n.records > 0)
      insert into audit_blocks (number, sealed_at, last_incarnation, last_xid, last_id, record_ids, record_hashes, hash)
      select b.number, b.sealed_at, l.incarnation, l.xid, l.id, b.ids, b.hashes,
        ${blockHash(sql`b.before`, sql`b.number`, sql`b.sealed_at`, sql`b.hashes`)}
      from block b, (select * from next order by incarnation desc, xid desc, id desc limit 1) l
      returning number::text, encode(hash, 'hex') as hash, cardinality(record_ids) as records`);
    return block ? { ...block, number: Number(block.number) } : null;
  });
}

/** The state of the chain for those who watch it. */
export interface AuditChainState {
  readonly head: AuditHead | null;
  /** Age of the oldest record that no block covers, in real seconds; 0 if there is none. */
  readonly unsealedSeconds: number;
}

export async function readAuditChain(db: Queries): Promise<AuditChainState> {
  const [row] = await db.execute<{ number: string | null; hash: string | null; unsealed: number }>(sql`
    with head as (select * from audit_blocks order by number desc limit 1)
    select (select number::text from head) as number, (select encode(hash, 'hex') from head) as hash,
      coalesce((select greatest(0, extract(epoch from clock_timestamp() - min(at)))::float8 from (
        select at from audit_records r where (r.incarnation, r.xid, r.id) > (
          coalesce((select last_incarnation from head), -1), coalesce((select last_xid from head), '0'),
          coalesce((select last_id from head), 0))
        order by r.incarnation, r.xid, r.id limit ${RECORDS_A_BLOCK}) oldest), 0) as unsealed`);
  const head = row?.number && row.hash ? { number: Number(row.number), hash: row.hash } : null;
  return { head, unsealedSeconds: row?.unsealed ?? 0 };
}

/** The first thing in the trail that does not fit. */
export interface AuditBreak {
  readonly block: number;
  /** The id of the record; null if the block itself does not fit. */
  readonly recordId: string | null;
  /** A sentence about it. */
  readonly problem: string;
}

/** The result of a verification. */
export interface AuditVerification {
  readonly broken: AuditBreak | null;
  readonly head: AuditHead | null;
  /** Sealed records that were verified. */
  readonly records: number;
  /** Records that are not sealed yet, and the age of the oldest in real seconds. */
  readonly unsealed: number;
  readonly unsealedSeconds: number;
}

interface VerifiedBlock extends Record<string, unknown> {
  readonly number: string;
  readonly hash: string;
  readonly records: number;
  /** Whether its hash follows from its content and the block before it. */
  readonly follows: boolean;
  /** Whether its records are those that it sealed. */
  readonly whole: boolean;
}

/**
 * Verifies the whole chain, from the first block on.
 * @param kept what was kept outside of the database: a number of a block, and the first digits of its hash in hex
 */
export async function verifyAuditTrail(db: Queries, kept: AuditHead | null): Promise<AuditVerification> {
  let head: AuditHead | null = null;
  let records = 0;
  const end = (broken: AuditBreak | null, unsealed = 0, unsealedSeconds = 0): AuditVerification => {
    return { broken, head, records, unsealed, unsealedSeconds };
  };
  for (;;) {
    const page = await readBlocks(db, head);
    for (const block of page) {
      const broken = await findBreak(db, block, head, kept);
      if (broken) return end(broken);
      head = { number: Number(block.number), hash: block.hash };
      records += block.records;
    }
    if (page.length < BLOCKS_A_PAGE) break;
  }
  if (kept && kept.number > (head?.number ?? 0)) {
    return end({
      block: kept.number,
      recordId: null,
      problem: 'the chain ends before it: blocks were removed, or the database was set back',
    });
  }
  const [rest] = await db.execute<{ count: number; seconds: number }>(sql`
    select count(*)::int as count,
      coalesce(extract(epoch from clock_timestamp() - min(r.at)), 0)::float8 as seconds
    from audit_records r left join audit_blocks b on b.number = ${head?.number ?? 0}
    where (r.incarnation, r.xid, r.id) >
      (coalesce(b.last_incarnation, -1), coalesce(b.last_xid, '0'), coalesce(b.last_id, 0))`);
  return end(null, rest?.count, rest?.seconds);
}

/** The next blocks after one, each compared with the records between the end of the block before and its own. */
async function readBlocks(db: Queries, after: AuditHead | null): Promise<VerifiedBlock[]> {
  return db.execute<VerifiedBlock>(sql`
    select b.number::text, encode(b.hash, 'hex') as hash, cardinality(b.record_ids) as records,
      b.hash = ${blockHash(sql`p.hash`, sql`b.number`, sql`b.sealed_at`, sql`b.record_hashes`)} as follows,
      f.ids is not distinct from b.record_ids and f.hashes is not distinct from b.record_hashes as whole
    from (select * from audit_blocks where number > ${after?.number ?? 0} order by number limit ${BLOCKS_A_PAGE}) b
    left join audit_blocks p on p.number = b.number - 1
    left join lateral (
      select array_agg(r.id order by r.incarnation, r.xid, r.id) as ids,
        string_agg(${RECORD_HASH}, ''::bytea order by r.incarnation, r.xid, r.id) as hashes
      from audit_records r where ${isBetween(sql`p`, sql`b`)}) f on true
    order by b.number`);
}

/** SQL for the records after one block and up to another. */
const isBetween = (before: SQL, block: SQL) => sql`(r.incarnation, r.xid, r.id) >
    (coalesce(${before}.last_incarnation, -1), coalesce(${before}.last_xid, '0'), coalesce(${before}.last_id, 0))
  and (r.incarnation, r.xid, r.id) <= (${block}.last_incarnation, ${block}.last_xid, ${block}.last_id)`;

async function findBreak(
  db: Queries,
  block: VerifiedBlock,
  before: AuditHead | null,
  kept: AuditHead | null,
): Promise<AuditBreak | null> {
  const number = Number(block.number);
  const next = (before?.number ?? 0) + 1;
  if (number !== next) return { block: next, recordId: null, problem: 'the block was removed' };
  if (!block.whole) {
    const found = await findBrokenRecord(db, number);
    if (found) return { block: number, ...found };
  }
  if (!block.whole || !block.follows) {
    return { block: number, recordId: null, problem: 'the block was changed, or the block before it' };
  }
  if (kept?.number === number && !block.hash.startsWith(kept.hash)) {
    return {
      block: number,
      recordId: null,
      problem: `its hash is ${block.hash}, not the one that was kept: the chain was made anew up to here, or the database was set back`,
    };
  }
  return null;
}

/** The first record of a block that is not as it was sealed. */
async function findBrokenRecord(
  db: Queries,
  number: number,
): Promise<{ readonly recordId: string; readonly problem: string } | null> {
  const [row] = await db.execute<{ id: string; sealed: boolean; there: boolean }>(sql`
    with b as (select * from audit_blocks where number = ${number}),
    p as (select p.* from b left join audit_blocks p on p.number = b.number - 1),
    sealed as (
      select s.id, s.nth, substring(b.record_hashes from ((s.nth - 1) * 32 + 1)::int for 32) as hash
      from b, unnest(b.record_ids) with ordinality as s (id, nth)),
    found as (
      select r.id, row_number() over (order by r.incarnation, r.xid, r.id) as nth, ${RECORD_HASH} as hash
      from audit_records r, b, p where ${isBetween(sql`p`, sql`b`)})
    select coalesce(s.id, f.id)::text as id, s.id is not null as sealed, f.id is not null as there
    from sealed s full join found f on f.id = s.id
    where s.id is null or f.id is null or f.hash <> s.hash
    order by coalesce(s.nth, f.nth), coalesce(s.id, f.id) limit 1`);
  if (!row) return null;
  const problem = !row.sealed ? 'was added afterwards' : row.there ? 'was changed' : 'was removed';
  return { recordId: row.id, problem: `the record ${problem}` };
}
