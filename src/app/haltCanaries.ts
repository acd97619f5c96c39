/**
 * Halts many canaries with one request: each deployment by an ordinary command with a key derived from the halt's, so that
 * a repetition does nothing twice and completes what a node that died has left. What the halt works on is stored first.
 */
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { Forbidden, may } from '../access/permissions.ts';
import type { Command } from '../core/lifecycle/command.ts';
import { FREEZE_BLOCKS } from '../core/lifecycle/freeze.ts';
import { isEnded } from '../core/lifecycle/state.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import type { Violation } from '../core/values/violation.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import { contains } from '../store/access/strategyScope.ts';
import { ConcurrentChange } from '../store/postgres/concurrentChange.ts';
import { readClock } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { type Freeze, findFreeze, insertFreeze } from '../store/safety/freezes.ts';
import {
  findHalt,
  findLiveMatching,
  type Halt,
  type HaltAction,
  type HaltOutcome,
  insertHalt,
  saveHaltOutcomes,
} from '../store/safety/halts.ts';
import type { Answer } from './answer.ts';
import type { Commands } from './commands.ts';
import type { Actor, App } from './context.ts';
import { keyOf, keyRefusal } from './execution/idempotency.ts';
import { transaction } from './execution/transaction.ts';
import { beyondPatterns, MAX_STANDING, patternsViolations } from './freezes.ts';

/** The command that carries out a halt on each deployment. */
export type HaltCommand = Extract<Command, { readonly type: HaltAction }>;

export interface HaltInput {
  /** Patterns of strategy names. */
  readonly strategies: readonly string[];
  /** Patterns; null means all chains. */
  readonly chains: readonly string[] | null;
  readonly action: HaltAction;
  readonly reason: string;
  /** Whether nothing may begin from now on, until the freeze is lifted. */
  readonly freeze: boolean;
}

export interface HaltAnswer {
  readonly refusal: Refusal | null;
  readonly message: string;
  /** Whether every deployment has its outcome; the others go on, and are in {@link pending}. */
  readonly complete: boolean;
  readonly outcomes: readonly HaltOutcome[];
  readonly pending: readonly string[];
  readonly freeze: Freeze | null;
  /** On Serin's clock, epoch milliseconds. */
  readonly now: SerinInstant;
  readonly replayed: boolean;
}

/** The answer comes by then, below the 8 s that clients rely on. Real milliseconds. */
const ANSWER_WITHIN_MS = 6500;
/** Commands on their way at a time: enough for full batches, few enough that none waits until it times out. */
const CONCURRENCY = 128;
/** A command that fails because the database is away is sent again. */
const ATTEMPTS = 5;
const RETRY_AFTER_MS = 500;

const refused = (no: Refusal): HaltAnswer => ({
  refusal: no,
  message: no.message,
  complete: true,
  outcomes: [],
  pending: [],
  freeze: null,
  now: 0,
  replayed: false,
});

/**
 * Carries out one action on all live deployments that match.
 * @throws {Forbidden} if the patterns reach beyond the actor's strategies, or the actor may not freeze them
 */
export async function haltCanaries(
  app: App,
  commands: Commands,
  actor: Actor,
  input: HaltInput,
  idempotencyKey: string | null,
): Promise<HaltAnswer> {
  const violations = haltViolations(input);
  if (violations.length > 0) return refused(invalidInput(violations));
  const { strategies, freeze } = input;
  if (!contains(actor.strategies, strategies)) throw beyondPatterns(actor, strategies);
  if (freeze && !may(actor, 'Mutation.createFreeze')) {
    throw new Forbidden(`${actor.name} has ${actor.role} and may halt, but not freeze: leave freeze out`);
  }
  const request = { actor, operation: 'haltCanaries', input, idempotencyKey: idempotencyKey || randomUUID() };
  const unusable = keyRefusal(request);
  const key = keyOf(request);
  if (unusable || !key) return refused(unusable ?? refusal('INVALID_INPUT', 'idempotencyKey is empty'));
  const begun = await transaction(app, (tx) => beginHalt(tx, actor, input, key));
  if (begun.halt.request !== key.request) {
    const message = `The idempotency key ${key.key} was used for another halt: send a new key for a new one`;
    return refused(refusal('IDEMPOTENCY_KEY_REUSED', message, ['idempotencyKey']));
  }
  if (!begun.replayed) app.onHalt(input.action);
  const found = new Map<string, HaltOutcome>();
  const { action: type, reason } = input;
  const work = carryOutHalt(app, commands, actor, { type, reason }, begun.halt, found);
  // Continues after the answer; a failure leaves the rest to a repetition under the same key.
  work.catch((error: unknown) => app.log.error({ error }, 'a halt was not carried out to its end'));
  await Promise.race([work.catch(() => {}), sleep(ANSWER_WITHIN_MS, undefined, { ref: false })]);
  return answerOf(app, begun, found);
}

function haltViolations({ strategies, chains, reason }: HaltInput): Violation[] {
  return [
    ...patternsViolations('strategies', strategies),
    ...patternsViolations('chains', chains),
    ...(reason.trim() === '' ? [{ path: ['reason'], message: 'must say why' }] : []),
  ];
}

interface Begun {
  readonly halt: Halt;
  readonly replayed: boolean;
}

/** Finds what was begun under the key, or stores what is to be halted: with a freeze, nothing can be added to it. */
async function beginHalt(
  tx: LogWriteTransaction,
  actor: Actor,
  input: HaltInput,
  key: { readonly actor: string; readonly key: string; readonly request: string },
): Promise<Begun> {
  const earlier = await findHalt(tx, key.actor, key.key);
  if (earlier) return { halt: earlier, replayed: true };
  const { strategies, action, reason } = input;
  const chains = input.chains ?? ['*'];
  const freeze = input.freeze ? await freezeForHalt(tx, actor, { strategies, chains, reason }) : null;
  const deploymentIds = await findLiveMatching(tx, { strategies, chains }, actor.strategies);
  const { request } = key;
  const halt = await insertHalt(tx, {
    actor: key.actor,
    key: key.key,
    request,
    deploymentIds,
    freezeId: freeze?.id ?? null,
  });
  if (!halt) throw new ConcurrentChange('the same halt has begun meanwhile');
  await appendAuditRecord(tx, {
    actor: actor.name,
    action: 'CANARIES_HALTED',
    subject: freeze?.id ?? strategies.join(' ').slice(0, 200),
    strategies,
    details: { chains, action, reason, freezeId: freeze?.id ?? null, deploymentIds },
  });
  return { halt, replayed: false };
}

async function freezeForHalt(
  tx: LogWriteTransaction,
  actor: Actor,
  given: Pick<Freeze, 'strategies' | 'chains' | 'reason'>,
): Promise<Freeze> {
  const id = `frz_${randomBytes(10).toString('hex')}`;
  const always = { from: null, until: null, recurrence: null, blocks: FREEZE_BLOCKS };
  // A halt must not fail because of a limit on freezes.
  const freeze = await insertFreeze(
    tx,
    { ...given, ...always, id, createdBy: actor.name },
    Number.POSITIVE_INFINITY,
  );
  if (!freeze) throw new Error(`more than ${MAX_STANDING} freezes stand`);
  return freeze;
}

/** Sends a command for each deployment, and stores the outcomes when all are known. A repetition does nothing twice. */
export async function carryOutHalt(
  app: App,
  commands: Commands,
  actor: Actor,
  command: HaltCommand,
  halt: Halt,
  found: Map<string, HaltOutcome> = new Map(),
): Promise<void> {
  for (const outcome of halt.outcomes ?? []) found.set(outcome.deploymentId, outcome);
  if (halt.outcomes) return;
  const limit = pLimit(CONCURRENCY);
  await Promise.all(
    halt.deploymentIds.map((id) =>
      limit(async () => {
        const answer = await submitPatiently(commands, actor, command, halt, id);
        found.set(id, outcomeOf(id, command.type, answer));
      }),
    ),
  );
  await saveHaltOutcomes(app.db, halt, [...found.values()]);
}

async function submitPatiently(
  commands: Commands,
  actor: Actor,
  command: HaltCommand,
  { key }: Halt,
  deploymentId: string,
): Promise<Answer> {
  const derived = hash('sha256', JSON.stringify(['halt', key, deploymentId]), 'hex');
  const request = {
    deploymentId,
    expectedRevision: null,
    idempotencyKey: `halt:${derived}`,
    operation: 'haltCanaries',
    input: { action: command.type, reason: command.reason },
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await commands.submit(actor, request, command);
    } catch (error) {
      if (attempt >= ATTEMPTS) throw error;
      await sleep(RETRY_AFTER_MS, undefined, { ref: false });
    }
  }
}

/** What an answer means for a halt: a deployment that already has the wanted status does not count as refused. */
function outcomeOf(
  deploymentId: string,
  action: HaltAction,
  { refusal: no, message, view }: Answer,
): HaltOutcome {
  if (!no) {
    const stays = action === 'PAUSE' ? '; its capital stays at work' : '';
    return { deploymentId, outcome: 'DONE', message: `${message}${stays}`, error: null };
  }
  const state = view?.state;
  if (no.code === 'INVALID_TRANSITION' && state) {
    const message = isEnded(state)
      ? `It has ended: ${state.status}`
      : state.status === 'PENDING'
        ? 'It is PENDING and holds no capital'
        : `It is ${state.status}; its capital stays at work`;
    return { deploymentId, outcome: 'ALREADY', message, error: null };
  }
  return { deploymentId, outcome: 'REFUSED', message, error: no };
}

async function answerOf(
  app: App,
  { halt, replayed }: Begun,
  found: ReadonlyMap<string, HaltOutcome>,
): Promise<HaltAnswer> {
  const [freeze, { now }] = await Promise.all([
    halt.freezeId === null ? null : findFreeze(app.db, halt.freezeId),
    readClock(app.db),
  ]);
  const outcomes = halt.deploymentIds.flatMap((id) => found.get(id) ?? []);
  const pending = halt.deploymentIds.filter((id) => !found.has(id));
  const count = (outcome: HaltOutcome['outcome']) =>
    outcomes.filter((each) => each.outcome === outcome).length;
  const rest = pending.length > 0 ? `, ${pending.length} on their way` : '';
  const frozen = freeze ? `; nothing begins until ${freeze.id} is lifted` : '';
  const message = `${count('DONE')} halted, ${count('ALREADY')} needed nothing, ${count('REFUSED')} refused${rest}${frozen}`;
  return { refusal: null, message, complete: pending.length === 0, outcomes, pending, freeze, now, replayed };
}
