/** The use cases of freezes: create, lift, and what they mean for a deployment that a transaction decides about. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { Forbidden, mayAdminister } from '../access/permissions.ts';
import { describeEnd, FREEZE_BLOCKS, type FreezeBlock, type FreezeFacts } from '../core/lifecycle/freeze.ts';
import { type ApprovalRequest, requestEndsAt } from '../core/lifecycle/secondPerson.ts';
import { type DeploymentState, isWatched } from '../core/lifecycle/state.ts';
import { LAST_INSTANT, type SerinInstant } from '../core/values/instant.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import type { Violation } from '../core/values/violation.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import { contains, overlaps, patternViolation } from '../store/access/strategyScope.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import type { UnitOfWork } from '../store/deployments/unitOfWork.ts';
import { type Queries, readClock } from '../store/postgres/database.ts';
import {
  type Freeze,
  findFreeze,
  insertFreeze,
  lockFreeze,
  markFreezeLifted,
  type NewFreeze,
  pageFreezes,
  type Recurrence,
  readFreezes,
  readFreezesUnderLock,
  type StandingFreezes,
} from '../store/safety/freezes.ts';
import type { Actor, App } from './context.ts';
import { type AnswerCodec, type Requester, refusalCodec, runIdempotent } from './execution/idempotency.ts';
import {
  activeWindow,
  expiredRequestAt,
  freezeFacts,
  nextStart,
  recurrenceViolation,
} from './freezeWindows.ts';

/** Each risky command reads all standing freezes. */
export const MAX_STANDING = 1000;
const MAX_PATTERNS = 100;
/** Ten years: a longer one is a mistake of the unit. */
const MAX_DURATION_SECONDS = 315_360_000;

export interface FreezeAnswer {
  /** Null if the use case was executed. */
  readonly refusal: Refusal | null;
  readonly message: string;
  readonly freeze: Freeze | null;
  /** The time of the answer on Serin's clock, epoch milliseconds. */
  readonly now: SerinInstant;
  readonly replayed: boolean;
}

const done = (message: string, freeze: Freeze, now: SerinInstant): FreezeAnswer => ({
  refusal: null,
  message,
  freeze,
  now,
  replayed: false,
});

const refused = (no: Refusal): FreezeAnswer => ({
  refusal: no,
  message: no.message,
  freeze: null,
  now: 0,
  replayed: false,
});

const invalid = (violations: readonly Violation[]): FreezeAnswer => refused(invalidInput(violations));

const storedCodec = z.strictObject({
  refusal: refusalCodec.nullable(),
  message: z.string(),
  freezeId: z.string().nullable(),
});

const codec: AnswerCodec<FreezeAnswer> = {
  encode: ({ refusal, message, freeze }) =>
    storedCodec.encode({ refusal, message, freezeId: freeze?.id ?? null }),
  async decode(db, answer) {
    const { refusal, message, freezeId } = storedCodec.parse(answer);
    const [freeze, { now }] = await Promise.all([freezeId && findFreeze(db, freezeId), readClock(db)]);
    return { refusal, message, freeze: freeze || null, now, replayed: true };
  },
  refused,
  visibleTo: (actor, answer) =>
    answer.freeze && !seesFreeze(actor, answer.freeze) ? refused(notFound(answer.freeze.id)) : answer,
};

const notFound = (id: string) => refusal('NOT_FOUND', `There is no freeze ${id}`, ['id']);

/** Whether an actor sees a freeze: it may be about a strategy that the actor sees. */
export function seesFreeze(actor: Actor, { strategies }: Pick<Freeze, 'strategies'>): boolean {
  return overlaps(actor.strategies, strategies);
}

/** What a caller gives for a new freeze. */
export interface FreezeInput {
  /** Patterns; null means all strategies of the caller. */
  readonly strategies: readonly string[] | null;
  /** Patterns; null means all chains. */
  readonly chains: readonly string[] | null;
  readonly from: number | null;
  readonly until: number | null;
  /** Seconds from its beginning to its end, instead of `until`; absent if it has none. */
  readonly durationSeconds?: number;
  readonly recurrence: Recurrence | null;
  /** Null means all. */
  readonly blocks: readonly FreezeBlock[] | null;
  readonly reason: string;
}

/**
 * Creates a freeze. When it is answered, nothing that it blocks can begin any more, on any node.
 * @throws {Forbidden} if its patterns reach beyond the actor's strategies
 */
export async function createFreeze(
  app: App,
  { actor, idempotencyKey }: Requester,
  input: FreezeInput,
): Promise<FreezeAnswer> {
  const violations = freezeViolations(input);
  if (violations.length > 0) return invalid(violations);
  const strategies = input.strategies ?? actor.strategies ?? ['*'];
  if (!contains(actor.strategies, strategies)) throw beyondPatterns(actor, strategies);
  const request = { actor, operation: 'createFreeze', input, idempotencyKey };
  return runIdempotent(app, request, codec, async (tx) => {
    const { now } = await readClock(tx);
    // What is over has never blocked anything, and a freeze begins at its creation at the earliest.
    const from = input.from === null || input.from <= now ? null : input.from;
    const until = endOf(input);
    if (until !== null && until <= (from ?? now)) {
      const message = `must be later than ${from === null ? 'now' : 'from'}`;
      return invalid([{ path: [input.until === null ? 'durationSeconds' : 'until'], message }]);
    }
    const freeze: NewFreeze = {
      id: `frz_${randomBytes(10).toString('hex')}`,
      strategies,
      chains: input.chains ?? ['*'],
      blocks: FREEZE_BLOCKS.filter((block) => input.blocks?.includes(block) ?? true),
      from,
      until,
      ...(until === null && input.durationSeconds !== undefined
        ? { durationSeconds: input.durationSeconds }
        : {}),
      recurrence: input.recurrence,
      reason: input.reason,
      createdBy: actor.name,
    };
    const created = await insertFreeze(tx, freeze, MAX_STANDING);
    if (!created) {
      const message = `There are ${MAX_STANDING} standing freezes already: lift those that are not needed`;
      return refused(refusal('LIMIT_REACHED', message));
    }
    await appendAuditRecord(tx, {
      actor: actor.name,
      action: 'FREEZE_CREATED',
      subject: created.id,
      strategies,
      details: detailsOf(created),
    });
    const { now: then } = await readClock(tx);
    return done(describeNew(created, then), created, then);
  });
}

/** What a new freeze blocks and when, as a message. */
function describeNew(freeze: Freeze, now: SerinInstant): string {
  const { id, blocks, until, recurrence, reason } = freeze;
  const next = activeWindow(freeze, now) ? null : nextStart(freeze, now);
  const begins = next === null ? 'now' : new Date(next).toISOString();
  const each = recurrence ? `, ${recurrence.durationMinutes} min each time` : '';
  return `Freeze ${id} blocks ${blocks.join(', ')} from ${begins} on${each}, ${describeEnd(until)}: ${reason}`;
}

/** When a new freeze ends for good, as far as it is known before it is created. */
function endOf({ from, until, durationSeconds }: FreezeInput): SerinInstant | null {
  return durationSeconds === undefined || from === null ? until : from + durationSeconds * 1000;
}

function detailsOf({ chains, blocks, from, until, recurrence, reason }: Freeze) {
  const text = (instant: number | null) => instant && new Date(instant).toISOString();
  return { chains, blocks, from: text(from), until: text(until), recurrence, reason };
}

function freezeViolations(input: FreezeInput): Violation[] {
  const { strategies, chains, until, durationSeconds, recurrence, blocks, reason } = input;
  const violations: Violation[] = [
    ...patternsViolations('strategies', strategies),
    ...patternsViolations('chains', chains),
  ];
  if (durationSeconds !== undefined && until !== null)
    violations.push({ path: ['durationSeconds'], message: 'and until exclude each other' });
  else if (durationSeconds !== undefined && (durationSeconds < 1 || durationSeconds > MAX_DURATION_SECONDS))
    violations.push({ path: ['durationSeconds'], message: `must be 1 to ${MAX_DURATION_SECONDS}` });
  else if ((endOf(input) ?? 0) > LAST_INSTANT)
    violations.push({ path: ['durationSeconds'], message: 'must end before the year 10000' });
  if (blocks?.length === 0)
    violations.push({ path: ['blocks'], message: 'must name at least one, or be omitted' });
  if (reason.trim() === '') violations.push({ path: ['reason'], message: 'must say why' });
  const wrong = recurrence && recurrenceViolation(recurrence);
  if (wrong) violations.push({ path: ['recurrence', wrong.field], message: wrong.message });
  return violations;
}

/** Violations of a list of patterns, which may be omitted. */
export function patternsViolations(field: string, patterns: readonly string[] | null): Violation[] {
  if (patterns === null) return [];
  if (patterns.length === 0 || patterns.length > MAX_PATTERNS) {
    return [{ path: [field], message: `must have 1 to ${MAX_PATTERNS} patterns, or be omitted for all` }];
  }
  return patterns.flatMap((pattern, index) => {
    const message = patternViolation(pattern);
    return message === null ? [] : [{ path: [field, String(index)], message }];
  });
}

/** The error for patterns that reach beyond the actor's own. */
export function beyondPatterns(actor: Actor, patterns: readonly string[]): Forbidden {
  const own = actor.strategies?.join(', ') || 'none';
  return new Forbidden(`${actor.name} may use only the strategies ${own}, not ${patterns.join(', ')}`);
}

/**
 * Lifts a freeze: what it held is decided anew at the next check. Lifting it again changes nothing.
 * @throws {Forbidden} if the actor sees the freeze but may not lift it
 */
export async function liftFreeze(
  app: App,
  { actor, idempotencyKey }: Requester,
  input: { readonly id: string; readonly reason: string | null },
): Promise<FreezeAnswer> {
  const request = { actor, operation: 'liftFreeze', input, idempotencyKey };
  return runIdempotent(app, request, codec, async (tx) => {
    const freeze = await lockFreeze(tx, input.id);
    if (!freeze || !seesFreeze(actor, freeze)) return refused(notFound(input.id));
    refuseLifting(actor, freeze);
    if (freeze.lossBudgetId !== null && freeze.liftedAt === null) return refused(ofBudget(freeze));
    const lifted = await markFreezeLifted(tx, freeze.id, actor.name);
    const { now } = await readClock(tx);
    if (!lifted) return done(`Freeze ${freeze.id} was lifted by ${freeze.liftedBy} before`, freeze, now);
    await appendAuditRecord(tx, {
      actor: actor.name,
      action: 'FREEZE_LIFTED',
      subject: freeze.id,
      strategies: freeze.strategies,
      details: { reason: input.reason },
    });
    return done(`Freeze ${freeze.id} is lifted; what it held is decided at the next check`, lifted, now);
  });
}

function ofBudget({ id, lossBudgetId }: Freeze): Refusal {
  const message =
    `${id} stands while the loss budget ${lossBudgetId} is tripped: arm that again with updateLossBudget ` +
    '(rearm: true and a reason), or delete it with deleteLossBudget';
  return refusal('INVALID_TRANSITION', message, ['id']);
}

function refuseLifting(actor: Actor, { id, strategies, createdBy }: Freeze): void {
  if (!contains(actor.strategies, strategies)) throw beyondPatterns(actor, strategies);
  if (createdBy === actor.name || mayAdminister(actor)) return;
  throw new Forbidden(`${id} was created by ${createdBy}: only they or an administrator may lift it`);
}

/** The freezes that an actor sees, newest first, and the time of the read. */
export async function listFreezes(
  db: Queries,
  actor: Actor,
  request: { readonly limit: number; readonly before: bigint | undefined; readonly standing: boolean },
): Promise<StandingFreezes> {
  const [found, { now }] = await Promise.all([pageFreezes(db, actor.strategies, request), readClock(db)]);
  return { freezes: found, at: now };
}

/**
 * What freezes mean for a deployment that a transaction is about to raise the risk of. Until the transaction ends, no
 * further freeze is created.
 */
export async function readFreezeFacts(
  tx: Queries,
  unit: UnitOfWork,
  { state, now }: Pick<DeploymentView, 'state' | 'now'>,
): Promise<FreezeFacts> {
  unit.freezes ??= readFreezesUnderLock(tx);
  const requestedAt = expiredRequestAt(state, now);
  const past = requestedAt === null ? [] : await readFreezes(tx, requestedAt);
  const { freezes, at } = await unit.freezes;
  return freezeFacts(freezes, state, Math.max(now, at), past);
}

/** The open request for promotion of a deployment, and when its day is over: time in which freezes block it is not counted. */
export async function findOpenRequest(
  db: Queries,
  { state, now }: Pick<DeploymentView, 'state' | 'now'>,
): Promise<(ApprovalRequest & { readonly endsAt: number }) | null> {
  const request = isWatched(state) ? state.observation.promotionRequest : null;
  if (!request) return null;
  const { requestFrozenMs } = freezeFacts([], state, now, await readFreezes(db, request.at));
  const endsAt = requestEndsAt(request) + requestFrozenMs;
  return now < endsAt ? { ...request, endsAt } : null;
}

/** Why an import is frozen, null if it is not: its canary continues with its capital, or becomes the stable version. */
export async function importFrozen(
  tx: Queries,
  deployment: DeploymentState,
  block: FreezeBlock,
): Promise<Refusal | null> {
  const { freezes, at } = await readFreezesUnderLock(tx);
  const { blocking } = freezeFacts(freezes, deployment, at);
  const active = blocking[block];
  if (!active) return null;
  const message = `${active.id} freezes this (${active.reason}): import the document when it has ended`;
  return refusal('FROZEN', message, ['document']);
}
