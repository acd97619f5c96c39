/** Faults, one after the other and seeded: processes killed, frozen and stopped, connections cut, PostgreSQL killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { post, type World } from './clients.ts';
import { freeze, haltSome } from './guards.ts';
import type { SerinNode } from './nodes.ts';
import type { Random } from './random.ts';

type Fault = (node: SerinNode, world: World, postgres: EmbeddedPostgres, random: Random) => Promise<void>;

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
  'kill -9 of PostgreSQL': async (_node, _world, postgres) => killPostgres(postgres),
  'kill -9 of PostgreSQL in the middle of a halt': async (_node, world, postgres, random) => {
    const halting = haltSome(world, random.fork());
    await sleep(random.below(60));
    await killPostgres(postgres);
    await halting;
  },
};

async function killPostgres(postgres: EmbeddedPostgres): Promise<void> {
  const pid = postgres.pid();
  // The whole group: no process of the server may tidy up after it.
  if (pid) process.kill(-pid, 'SIGKILL');
  await sleep(500);
}

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

/** Injects so many faults, some time apart. */
export async function injectFaults(
  world: World,
  postgres: EmbeddedPostgres,
  random: Random,
  count: number,
): Promise<void> {
  const names = Object.keys(FAULTS);
  // Every kind once, in an order of chance, before any comes again.
  let round: string[] = [];
  for (let injected = 0; injected < count; injected += 1) {
    if (round.length === 0) round = shuffled(names, random);
    const name = round.pop() ?? '';
    await sleep(200 + random.below(800));
    await FAULTS[name]?.(random.pick(world.nodes), world, postgres, random);
    world.history.faults.push(name);
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(random.below(left.length), 1));
}
