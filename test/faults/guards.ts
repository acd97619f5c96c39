/** People who keep capital safe: they freeze and lift, halt, and arm loss budgets again, while everything else goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, post, STRATEGIES, TRIES, type World } from './clients.ts';
import type { Halted, HaltResult } from './history.ts';
import type { Random } from './random.ts';

const BUDGETS = 'query { lossBudgets(first: 50) { nodes { id state } } }';

interface FreezeResult {
  readonly success: boolean;
  readonly freeze: { readonly id: string } | null;
}

let acts = 0;
const keyed = (what: string) => {
  acts += 1;
  return { actor: `${what}-${acts}`, idempotencyKey: `${what}-${acts}` };
};

/** Sends until it is answered; null if nobody ever did. */
async function send<T>(
  world: World,
  random: Random,
  request: Parameters<typeof attempt>[2],
): Promise<T | null> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const answer = await attempt<T>(world, random, request);
    if (answer === 'REFUSED') return null;
    if (answer) return answer;
  }
  return null;
}

/** Freezes a strategy, or lets a freeze end by itself, and halts, one thing after the other. */
export async function guard(world: World, random: Random): Promise<void> {
  while (!world.ending.aborted) {
    await sleep(500 + random.below(1500));
    if (random.chance(0.5)) await freezeForAWhile(world, random);
    else await haltSome(world, random);
  }
}

async function freezeForAWhile(world: World, random: Random): Promise<void> {
  const strategies = [random.pick(STRATEGIES)];
  const id = await freeze(world, random, { strategies });
  if (!id) return;
  await sleep(500 + random.below(2500));
  await lift(world, random, id);
}

/** Freezes, and writes down from when on nothing may begin. Returns the id of the freeze. */
export async function freeze(
  world: World,
  random: Random,
  input: { readonly strategies: readonly string[]; readonly until?: string },
): Promise<string | null> {
  const { actor, idempotencyKey } = keyed('freeze');
  const answer = await send<FreezeResult>(world, random, {
    actor,
    mutation: 'createFreeze',
    fields: 'success freeze { id }',
    input: { ...input, reason: 'news', idempotencyKey },
  });
  const id = answer?.freeze?.id ?? null;
  const { strategies, until } = input;
  // One that ends by itself is judged by the log alone.
  if (id && until === undefined)
    world.history.freezes.push({ id, strategies, answeredAt: performance.now() });
  return id;
}

async function lift(world: World, random: Random, id: string): Promise<void> {
  const known = world.history.freezes.find((each) => each.id === id);
  if (known) known.liftSentAt = performance.now();
  const { actor, idempotencyKey } = keyed('lift');
  await send(world, random, {
    actor,
    mutation: 'liftFreeze',
    fields: 'success',
    input: { id, idempotencyKey },
  });
}

/** Halts one strategy or all, with a freeze or without, until every deployment has its outcome. */
export async function haltSome(world: World, random: Random): Promise<void> {
  const { actor, idempotencyKey } = keyed('halt');
  const halted: Halted = {
    actor,
    action: random.pick(['PAUSE', 'ROLLBACK', 'CANCEL'] as const),
    strategies: random.chance(0.5) ? ['*'] : [random.pick(STRATEGIES)],
    answers: [],
    sentAt: performance.now(),
  };
  world.history.halts.push(halted);
  const { action, strategies } = halted;
  const request = {
    actor,
    mutation: 'haltCanaries',
    fields: 'success complete message freeze { id } outcomes { deploymentId outcome message }',
    input: { action, strategies, freeze: random.chance(0.5), reason: 'halted', idempotencyKey },
  };
  let again = random.chance(0.3) ? 1 : 0;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const answer = await attempt<HaltResult>(world, random, request);
    if (answer === 'REFUSED') break;
    if (!answer) continue;
    halted.answers.push(answer);
    halted.answeredAt = performance.now();
    if (!answer.complete) continue;
    if (again === 0) break;
    again -= 1;
  }
  const id = halted.answers.at(-1)?.freeze?.id;
  if (!id) return;
  world.history.freezes.push({ id, strategies, answeredAt: performance.now() });
  await sleep(random.below(1500));
  await lift(world, random, id);
}

/** Two budgets over the canaries of some strategies; what trips is armed again after a while. */
export async function watchBudgets(world: World, random: Random): Promise<void> {
  for (const { strategies, action } of [
    { strategies: ['grid', 'carry'], action: 'ROLLBACK_ALL' },
    { strategies: ['basis'], action: 'ROLLBACK_LOSERS' },
  ]) {
    const { actor, idempotencyKey } = keyed('budget');
    const terms = { name: action, strategies, windowHours: 24, maxLossUsd: '80', action };
    const input = { ...terms, count: 'LOSERS_ONLY', idempotencyKey };
    await send(world, random, { actor, mutation: 'createLossBudget', fields: 'success message', input });
  }
  while (!world.ending.aborted) {
    await sleep(1000 + random.below(2000));
    const { data } = await post(random.pick(world.nodes), 'desk', BUDGETS).catch(() => ({ data: undefined }));
    const budgets = data?.lossBudgets as { nodes: { id: string; state: string }[] } | undefined;
    for (const { id, state } of budgets?.nodes ?? []) {
      if (state !== 'TRIPPED') continue;
      await sleep(random.below(2000));
      const { actor, idempotencyKey } = keyed('arm');
      const input = { id, rearm: true, reason: 'seen', idempotencyKey };
      await send(world, random, { actor, mutation: 'updateLossBudget', fields: 'success', input });
    }
  }
}
