/** The lease of a deployment through both clients: prolonged by answers, ended by the bot and by Serin at one instant. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Allocation, connectSerin, type DeploymentSide } from '../../src/client/index.ts';
import { startProxy, type TcpProxy } from '../faults/proxy.ts';
import { CALM, command, create, statusOf } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const hasPython =
  spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status === 0;

let serin: TestSerin;
let proxy: TcpProxy;
const opened: DeploymentSide[] = [];
const children: ChildProcess[] = [];
beforeAll(async () => {
  serin = await startTestSerin();
  proxy = await startProxy(() => Number(new URL(serin.url).port));
});
afterEach(async () => {
  proxy.pass();
  for (const side of opened.splice(0)) await side.close(0);
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await proxy.close();
  await serin.stop();
});

/** Seconds on Serin's clock, which is 60 times as fast here: eight real ones. */
const LEASE = 480;
const CONFIG = { ...CALM, observationPeriodMinutes: 500_000, capitalLeaseSeconds: LEASE };

/** A deployment with a bot that was there before its capital: the lease of a loaded machine begins with it. */
async function withBot(
  start: (id: string) => Promise<Bot>,
): Promise<{ readonly id: string; readonly bot: Bot }> {
  const { deployment } = await create(serin, { config: CONFIG });
  const { id } = deployment;
  const bot = await start(id);
  await command(serin, 'deployCanary', id, { capitalUsd: '100000' });
  await until(() => bot.causes().at(-1) === 'DEPLOY 10000');
  expect(await bot.report()).toBeNull();
  return { id, bot };
}

/** A bot in one of the languages: what it was told to hold, what its reports came to, and how often it stood down. */
interface Bot {
  causes(): string[];
  stoodDown(): number;
  /** Reports once more; the code of the refusal, null if there was none. */
  report(): Promise<string | null>;
}

async function typescript(id: string): Promise<Bot> {
  let stoodDown = 0;
  const onStandDown = () => {
    stoodDown += 1;
  };
  const side = await connectSerin({ url: `http://127.0.0.1:${proxy.port}` }).side(id, 'CANARY', {
    onStandDown,
  });
  opened.push(side);
  const held: Allocation[] = [];
  const hold = async () => {
    for await (const allocation of side.allocations()) {
      held.push(allocation);
      await allocation.acknowledge();
    }
  };
  hold().catch(() => {});
  return {
    causes: () => held.map(({ cause, capitalUsd }) => `${cause} ${capitalUsd}`),
    stoodDown: () => stoodDown,
    report: async () => (await side.report({ pnlUsd: 1 })).error?.code ?? null,
  };
}

const PROGRAM = `import json, sys, threading
from serin import Serin
def say(**value): print(json.dumps(value), flush=True)
side = Serin(sys.argv[1]).side(sys.argv[2], "CANARY", on_stand_down=lambda: say(stood_down=True))
side.hold(lambda allocation: say(cause=allocation.cause + " " + allocation.capital_usd))
for line in sys.stdin:
    say(error=(side.report(pnl_usd=1)["error"] or {}).get("code"))
`;

async function python(id: string): Promise<Bot> {
  const child = spawn('python3', ['-c', PROGRAM, `http://127.0.0.1:${proxy.port}`, id], {
    env: { PATH: process.env.PATH, PYTHONPATH: 'clients/python', PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const said: Data[] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    said.push(...lines.map((line) => JSON.parse(line)));
  });
  const answers = () => said.filter((value) => 'error' in value);
  return {
    causes: () => said.flatMap(({ cause }) => (cause ? [cause] : [])),
    stoodDown: () => said.filter((value) => value.stood_down).length,
    async report() {
      const before = answers().length;
      child.stdin.write('\n');
      await until(() => answers().length > before);
      return answers().at(-1).error;
    },
  };
}

const STATE = `status lease { until heartbeatAt expired stoodDown }
  allocation { number sides { side acknowledgedNumber heldUsd } }
  events(types: [LEASE_EXPIRED], first: 5) { nodes { payload { ... on LeaseExpired { leaseUntil heartbeatAt stoodDown } } } }`;

async function look(id: string): Promise<Data> {
  const { deployment } = await serin.ask(`query($id: ID!) { deployment(id: $id) { ${STATE} } }`, { id });
  return deployment;
}

/** The bots whose language this machine has, each with a deployment of its own: they wait for their leases side by side. */
const LANGUAGES = hasPython ? [typescript, python] : [typescript];

test('a bot keeps the lease without a report, from the first capital on and in a second run', async () => {
  const keeps = async (start: (id: string) => Promise<Bot>) => {
    const { id } = await withBot(start);
    const before = (await look(id)).lease.until;
    await until(async () => (await look(id)).lease.until > before);
    const second = await start(id);
    expect(await second.report()).toBeNull();
    expect((await look(id)).lease.expired).toBe(false);
  };
  await Promise.all(LANGUAGES.map(keeps));
});

test('a bot that loses Serin stands down, Serin fails the deployment, and the capital is acknowledged', async () => {
  const pairs = await Promise.all(LANGUAGES.map(withBot));
  proxy.refuse();
  proxy.cut();
  for (const { id, bot } of pairs) {
    await until(() => bot.stoodDown() > 0);
    await until(() => bot.causes().at(-1) === 'LEASE_EXPIRED 0');
    await until(async () => (await statusOf(serin, id)) === 'FAILED');
  }
  proxy.pass();
  for (const { id, bot } of pairs) {
    await until(() => bot.causes().at(-1) === 'FAIL 0');
    await until(async () => (await look(id)).allocation.sides[0].acknowledgedNumber === 2);
    const seen = await look(id);
    const [expired] = seen.events.nodes;
    const { leaseUntil, heartbeatAt } = expired.payload;
    expect(Date.parse(leaseUntil) - Date.parse(heartbeatAt)).toBe(LEASE * 1000);
    expect(seen.lease).toMatchObject({ until: leaseUntil, expired: true, stoodDown: false });
    expect(seen.allocation).toMatchObject({ number: 2, sides: [{ side: 'CANARY', heldUsd: '0' }, {}] });
    expect(bot.stoodDown()).toBe(1);
    expect(await bot.report()).toBe('LEASE_EXPIRED');
  }
});

test('a bot stands down while Serin is away, and Serin fails the deployment at that instant when it is back', async () => {
  const pairs = await Promise.all(LANGUAGES.map(withBot));
  await serin.restart({}, () => until(() => pairs.every(({ bot }) => bot.stoodDown() > 0)));
  for (const { id, bot } of pairs) {
    await until(async () => (await statusOf(serin, id)) === 'FAILED');
    const { lease, events } = await look(id);
    const { leaseUntil, heartbeatAt, stoodDown } = events.nodes[0].payload;
    expect(stoodDown).toBe(true);
    expect(Date.parse(leaseUntil) - Date.parse(heartbeatAt)).toBe(LEASE * 1000);
    expect(lease).toMatchObject({ until: leaseUntil, expired: true, stoodDown: true });
    await until(() => bot.causes().at(-1) === 'FAIL 0');
    expect(bot.causes()).toEqual(['DEPLOY 10000', 'LEASE_EXPIRED 0', 'FAIL 0']);
    await until(async () => (await look(id)).allocation.sides[0].heldUsd === '0');
  }
});
