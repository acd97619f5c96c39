/**
 * Faults, one after the other and seeded: processes killed, frozen and stopped, connections cut, PostgreSQL killed, failed
 * over and set back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { post, type World } from './clients.ts';
import { freeze, haltSome } from './guards.ts';
import type { SerinNode } from './nodes.ts';
import type { Random } from './random.ts';
import type { Servers } from './servers.ts';

type Fault = (node: SerinNode, world: World, servers: Servers, random: Random) => Promise<void>;

/** Every one ends with the world in order again. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'kill -9 of a node': async (node) => {
    await node.kill();
    await node.start();
  },
  'kill -9 of a node in the middle of a halt': async (node, world, _postgres, random) => {
    const halting = haltSome({ ...world, nodes: [node] }, random.fork());
    await sleep(random.below(60));
    await node.kill();
    await node.start();
    await halting;
  },
  'a freeze ends while no node runs': async (_node, world, _postgres, random) => {
    const at = await serinTime(world, random);
    if (at !== null) {
      await freeze(world, random, { strategies: ['*'], until: new Date(at + FREEZE_MS).toISOString() });
    }
    await Promise.all(world.nodes.map((each) => each.kill()));
    await sleep(AWAY_MS);
    await Promise.all(world.nodes.map((each) => each.start()));
  },
  'SIGTERM of a node': async (node, { history }) => {
    const code = await node.terminate();
    if (code !== 0) history.crashes.push(`${node.name} ended with ${code} after SIGTERM, not with 0`);
    await node.start();
  },
  'SIGSTOP and SIGCONT of a node': async (node, _world, _postgres, random) => {
    node.freeze();
    await sleep(500 + random.below(2500));
    node.thaw();
  },
  'connections between a node and PostgreSQL cut': async (node) => node.toDatabase.cut(),
  'connections between a node and its clients cut': async (node) => node.toClients.cut(),
  'PostgreSQL out of reach of a node': async (node, _world, _postgres, random) => {
    node.toDatabase.refuse();
    await sleep(300 + random.below(1500));
    node.toDatabase.pass();
  },
  'what a node and PostgreSQL say swallowed': async (node, _world, _postgres, random) => {
    node.toDatabase.swallow();
    await sleep(300 + random.below(1500));
    node.toDatabase.pass();
  },
  'kill -9 of PostgreSQL': async (_node, _world, servers) => {
    await servers.kill();
    await sleep(500);
  },
  'kill -9 of PostgreSQL in the middle of a halt': async (_node, world, servers, random) => {
    const halting = haltSome(world, random.fork());
    await sleep(random.below(60));
    await servers.kill();
    await halting;
  },
  'failover to a standby': (_node, _world, servers, random) => servers.failOver(random),
  'restore of an earlier state': async (_node, { history }, servers, random) => {
    history.restores.push(await servers.restore(random));
    // What was told of before may be lost; reports only grow, so the next ones say it again.
    history.reported.clear();
  },
};

/** Milliseconds of Serin's clock, which runs sixty times as fast: it ends before the nodes are back. */
const FREEZE_MS = 90_000;
const AWAY_MS = 1500;

async function serinTime(world: World, random: Random): Promise<number | null> {
  const { data } = await post(random.pick(world.nodes), 'desk', '{ overview { at } }').catch(() => ({
    data: undefined,
  }));
  const overview = data?.overview as { at: string } | undefined;
  return overview ? Date.parse(overview.at) : null;
}

export const KINDS: readonly string[] = Object.keys(FAULTS);

/** Injects so many faults of these kinds, some time apart. */
export async function injectFaults(
  world: World,
  servers: Servers,
  random: Random,
  count: number,
  kinds: readonly string[],
): Promise<void> {
  // Every kind once, in an order of chance, before any comes again.
  let round: string[] = [];
  for (let injected = 0; injected < count; injected += 1) {
    if (round.length === 0) round = shuffled(kinds, random);
    const name = round.pop() ?? '';
    await sleep(200 + random.below(800));
    await FAULTS[name]?.(random.pick(world.nodes), world, servers, random);
    world.history.faults.push(name);
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(random.below(left.length), 1));
}
