/** Unit of work: collects the changes of many commands and writes them in one statement per table. */
import type { CanaryConfig } from '../../core/config/config.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import { appendAuditRecords, type NewAuditRecord } from '../access/audit.ts';
import { type NewAnswer, storeAnswers } from '../access/idempotencyKeys.ts';
import { appendEvents } from '../log/eventLog.ts';
import type { NewEntry } from '../log/logEntry.ts';
import { insertSamples, type TakenSample } from '../log/samples.ts';
import { allDone } from '../postgres/allDone.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import type { StandingFreezes } from '../safety/freezes.ts';
import { type Saved, saveBreaches, saveConfigs, saveDeployments } from './deployments.ts';
import { moveStableVersions, type StableMove, setApprovalRule } from './strategies.ts';

export interface UnitOfWork {
  /** The last state of each changed deployment, by id. */
  readonly saved: Map<string, Saved>;
  /** The last breach counts of deployments of which nothing else changed, by id. */
  readonly breaches: Map<string, BreachCounts>;
  /** The configurations that changed, by the ids of their deployments. */
  readonly configs: Map<string, CanaryConfig>;
  /** Strategies whose promotions need two people from now on. */
  readonly approvalRules: Set<string>;
  /** The moves of stable versions, by strategy. */
  readonly stableMoves: Map<string, StableMove>;
  readonly entries: NewEntry[];
  readonly samples: TakenSample[];
  /** Answers to store under their idempotency keys. */
  readonly answers: NewAnswer[];
  readonly audit: NewAuditRecord[];
  /** The standing freezes, once one of the commands has needed them: read under their lock. */
  freezes: Promise<StandingFreezes> | null;
}

export const createUnitOfWork = (): UnitOfWork => ({
  saved: new Map(),
  breaches: new Map(),
  configs: new Map(),
  approvalRules: new Set(),
  stableMoves: new Map(),
  entries: [],
  samples: [],
  answers: [],
  audit: [],
  freezes: null,
});

/**
 * Writes all changes. The transaction must have locked the rows of the deployments. Pipelined: no statement waits for the
 * result of the one before, nor does the commit, unless a result may forbid it.
 * @throws {ConcurrentChange} if a stable version has moved since it was read
 */
export async function flush(tx: LogWriteTransaction, unit: UnitOfWork): Promise<void> {
  const { saved, breaches, configs, approvalRules, stableMoves, entries, samples, answers, audit } = unit;
  const parts = [
    saveDeployments(tx, [...saved.values()]),
    saveBreaches(tx, breaches),
    saveConfigs(tx, configs),
    ...[...approvalRules].sort().map((strategyId) => setApprovalRule(tx, strategyId)),
    moveStableVersions(tx, stableMoves),
    appendEvents(tx, entries),
    insertSamples(tx, samples),
    storeAnswers(tx, answers),
    appendAuditRecords(tx, audit),
  ];
  if (configs.size > 0 || approvalRules.size > 0 || stableMoves.size > 0) await allDone(parts);
  else await allSent(tx, parts);
}

/**
 * Waits until the statements of all parts are with the driver. They are once no promise is left to go on with, which is
 * before the driver writes them, so that the commit goes to the network with them.
 * @throws the error of a part that has failed by then: its statement may not have been sent at all
 */
async function allSent(tx: LogWriteTransaction, parts: readonly Promise<void>[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts) part.catch((error: unknown) => failures.push(error));
  tx.inFlight.push(...parts);
  await new Promise<void>((resolve) => process.nextTick(resolve));
  if (failures.length > 0) throw failures[0];
}
