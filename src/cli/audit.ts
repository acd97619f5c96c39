/** `serin audit verify`: checks in the database itself that no record of the audit trail was changed, removed or added. */
import { counted } from '../core/values/format.ts';
import { type AuditHead, type AuditVerification, verifyAuditTrail } from '../store/log/auditChain.ts';
import { CommandFailed, EXIT, usage } from './exitCodes.ts';
import { withLocalDatabase } from './localDatabase.ts';

export interface VerifyOptions {
  /** `NUMBER:HASH` of a block, kept outside of the database: at least the first 12 digits of the hash. */
  readonly expect?: string;
  readonly json?: boolean;
}

/** @throws {CommandFailed} if the trail is broken, naming the first record or block that does not fit */
export async function verifyAudit(
  { expect: expected, json }: VerifyOptions,
  variables: NodeJS.ProcessEnv,
): Promise<void> {
  const kept = expected === undefined ? null : readKept(expected);
  await withLocalDatabase(variables, { migrate: false }, async ({ db }) => {
    const found = await verifyAuditTrail(db, kept);
    const { broken } = found;
    if (json) process.stdout.write(`${JSON.stringify(found)}\n`);
    else if (!broken) process.stdout.write(`${describe(found, kept)}\n`);
    if (broken) throw new CommandFailed(describeBreak(broken), EXIT.broken);
  });
}

function readKept(given: string): AuditHead {
  const [, number, hash] = /^(\d{1,15}):([0-9a-f]{12,64})$/i.exec(given.trim()) ?? [];
  if (!number || !hash)
    throw usage(`--expect must be NUMBER:HASH, such as 812:9f86d081884c, got ${JSON.stringify(given)}`);
  return { number: Number(number), hash: hash.toLowerCase() };
}

function describe(
  { head, records, unsealed, unsealedSeconds }: AuditVerification,
  kept: AuditHead | null,
): string {
  const sealed = head
    ? `What is sealed is unchanged: ${counted(records, 'record')} in ${counted(head.number, 'block')}.\nNewest block ${head.number}:${head.hash}`
    : 'No record is sealed yet.';
  const agrees = kept ? `\nBlock ${kept.number} has the hash that you gave.` : '';
  const rest =
    unsealed > 0
      ? `\nNot sealed yet: ${counted(unsealed, 'record')}, the oldest for ${Math.round(unsealedSeconds)} s.`
      : '';
  return sealed + agrees + rest;
}

function describeBreak({ block, recordId, problem }: NonNullable<AuditVerification['broken']>): string {
  return recordId === null
    ? `block ${block}: ${problem}`
    : `record ${recordId}, in block ${block}: ${problem}`;
}
