/** Bots that move capital: each side holds what the latest allocation asks of it, and acknowledges that. Some are away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { perform, post, type World } from './clients.ts';
import type { Random } from './random.ts';

type Side = 'CANARY' | 'STABLE';

const ALLOCATIONS = `query($input: [ID!]!) { nodes(ids: $input) { ... on CanaryDeployment { id endedAt
  allocation { number sides { side requestedUsd heldUsd } } } } }`;

interface Held {
  readonly id: string;
  readonly endedAt: string | null;
  readonly allocation: {
    readonly number: number;
    readonly sides: readonly { side: Side; requestedUsd: string; heldUsd: string | null }[];
  } | null;
}

/** How long a bot goes on after the others have ended, real milliseconds: capital is moved after the end, too. */
const GOES_ON_MS = 20_000;
/** Deployments of one request. */
const AT_ONCE = 40;

/** Follows the allocations of all deployments for one side, asking a few times a second; now and then it is away. */
export async function hold(world: World, random: Random, side: Side): Promise<void> {
  const home = new Set<string>();
  let endedAt = Number.POSITIVE_INFINITY;
  for (;;) {
    await sleep(random.chance(0.03) ? 1000 + random.below(3000) : 100 + random.below(200));
    if (world.ending.aborted) endedAt = Math.min(endedAt, performance.now());
    const ids = world.known.filter((id) => !home.has(id)).slice(-AT_ONCE);
    const held = await read(world, random, ids);
    let missing = held === null;
    const moves: Promise<unknown>[] = [];
    for (const { id, endedAt: end, allocation } of held ?? []) {
      const mine = allocation?.sides.find((each) => each.side === side);
      if (!allocation || !mine) continue;
      if (mine.heldUsd !== mine.requestedUsd) {
        missing = true;
        const input = { deploymentId: id, number: allocation.number, side, heldUsd: mine.requestedUsd };
        moves.push(perform(world, random.fork(), 'acknowledgeAllocation', input, id));
      } else if (end !== null) home.add(id);
    }
    await Promise.all(moves);
    const over = performance.now() - endedAt;
    if (over > GOES_ON_MS || (over > 0 && !missing)) return;
  }
}

async function read(world: World, random: Random, ids: readonly string[]): Promise<Held[] | null> {
  if (ids.length === 0) return [];
  try {
    const { data } = await post(random.pick(world.nodes), 'bot', ALLOCATIONS, ids);
    return (data?.nodes as (Held | null)[] | undefined)?.flatMap((one) => one ?? []) ?? null;
  } catch {
    return null;
  }
}
