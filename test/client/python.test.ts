/** The Python client, as a bot uses it: a process of its own against a real server. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startProxy, type TcpProxy } from '../faults/proxy.ts';
import { CALM, command, create, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const hasPython =
  spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status === 0;
if (!hasPython) console.log('The Python client is not tested: there is no python3 of version 3.9 or newer.');

let serin: TestSerin;
let proxy: TcpProxy;
const children: ChildProcess[] = [];
beforeAll(async () => {
  serin = await startTestSerin();
  proxy = await startProxy(() => Number(new URL(serin.url).port));
});
afterEach(() => {
  proxy.pass();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await proxy.close();
  await serin.stop();
});

const PRELUDE = `import json, sys, threading, time
from decimal import Decimal
from serin import Serin, SerinError
def say(**value): print(json.dumps(value), flush=True)
serin = Serin(sys.argv[1], on_notice=lambda sentence: say(notice=sentence))
`;

/** Runs a program with the client; what it says is one JSON object a line. */
function python(program: string, ...args: string[]) {
  const child = spawn('python3', ['-c', PRELUDE + program, `http://127.0.0.1:${proxy.port}`, ...args], {
    env: { PATH: process.env.PATH, PYTHONPATH: 'clients/python', PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.push(child);
  const said: Record<string, unknown>[] = [];
  let errors = '';
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    said.push(...lines.map((line) => JSON.parse(line)));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code, errors }));
  return { child, said, ended };
}

const FIGURES = `query($id: ID!) { deployment(id: $id) { canaryMetrics { tradeCount errorCount
  metrics { netPnlUsd maxDrawdown winRate } } } }`;
const figures = async (id: string) => (await serin.ask(FIGURES, { id })).deployment.canaryMetrics;

describe.runIf(hasPython)('the Python client', () => {
  test('totals of a run continue from what the side had before, and bad figures are refused by name', async () => {
    const id = await running(serin);
    const program = `
side = serin.side(sys.argv[2], "CANARY")
say(result=side.report(pnl_usd="10.1", trades=4, errors=1, drawdown=0.02, win_rate="0.5"))
later = serin.side(sys.argv[2], "CANARY")
later.report(pnl_usd=-0.2, unrealized_pnl_usd="-0.4", trades=4, drawdown="0.01", win_rate=1)
for figures in ({"pnl_usd": float("nan")}, {"trades": 1.5}, {"pnl": 1}, {"unrealized_pnl_usd": 1}, {"pnl_usd": 1e60}):
    try: later.report(**figures)
    except TypeError as error: say(refused=str(error))
`;
    const { said, ended } = python(program, id);
    expect(await ended).toEqual({ code: 0, errors: '' });
    expect(said[0]).toMatchObject({ result: { success: true, status: 'RUNNING', error: null } });
    expect(said.slice(1).map(({ refused }) => String(refused).split(',')[0])).toEqual([
      'pnl_usd must be a number',
      'trades must be a whole number from 0',
      'pnl is not a figure; there are pnl_usd',
      'unrealized_pnl_usd needs pnl_usd in the same report',
      'pnl_usd must have at most 38 digits',
    ]);
    expect(await figures(id)).toEqual({
      tradeCount: 8,
      errorCount: 1,
      metrics: { netPnlUsd: '9.5', maxDrawdown: '0.02', winRate: '0.75' },
    });
  });

  test('of two processes that report for one side the earlier one is told, once', async () => {
    const { said, ended } = python(
      `
first = serin.side(sys.argv[2], "CANARY")
first.report(trades=1)
serin.side(sys.argv[2], "CANARY").report(trades=1)
for trades in (2, 3): say(stale=first.report(trades=trades)["stale"])
`,
      await running(serin),
    );
    expect(await ended).toEqual({ code: 0, errors: '' });
    expect(said).toEqual([
      { notice: expect.stringContaining('were not taken, because another process reports for it since') },
      { stale: true },
      { stale: true },
    ]);
  });

  test('allocations: each acknowledged, over a cut and a restart, until the last; waits for the deployment', async () => {
    const { said, ended } = python(
      `
side = serin.side(sys.argv[2], "CANARY")
for allocation in side.allocations():
    say(cause=allocation.cause, capital=allocation.capital_usd, final=allocation.final)
    allocation.acknowledge()
say(ended=side.ended)
`,
      'dep_python',
    );
    await until(() => said.length === 1);
    expect(said[0]).toEqual({ notice: expect.stringContaining('There is no deployment dep_python yet') });
    await create(serin, { id: 'dep_python' });
    await command(serin, 'deployCanary', 'dep_python', { capitalUsd: '100000' });
    // On a slow machine the bot also sees, and says, that there is no capital yet.
    const allocations = () => said.filter(({ notice }) => !notice);
    await until(() => allocations().length === 1);
    expect(allocations()).toEqual([{ cause: 'DEPLOY', capital: '10000', final: false }]);
    proxy.cut();
    await serin.restart();
    await command(serin, 'rollbackCanary', 'dep_python');
    expect(await ended).toEqual({ code: 0, errors: '' });
    expect(allocations().slice(1)).toEqual([
      { cause: 'ROLLBACK', capital: '0', final: true },
      { ended: true },
    ]);
    const query = `query { deployment(id: "dep_python") { allocation { sides { side acknowledgedNumber heldUsd } } } }`;
    const { deployment } = await serin.ask(query);
    expect(deployment.allocation.sides[0]).toEqual({ side: 'CANARY', acknowledgedNumber: 2, heldUsd: '0' });
  });

  test('a bot that cannot reach Serin stands down automatically, and returns to the allocation of that time', async () => {
    const id = await running(serin);
    const { said } = python(
      `
side = serin.side(sys.argv[2], "CANARY", stand_down_after_seconds=1.5)
for allocation in side.allocations():
    say(cause=allocation.cause, capital=allocation.capital_usd)
    say(answer=allocation.acknowledge()["success"])
`,
      id,
    );
    const causes = () => said.flatMap(({ cause }) => (cause ? [cause] : []));
    await until(() => said.some(({ answer }) => answer === true));
    proxy.refuse();
    proxy.cut();
    await until(() => causes().at(-1) === 'LEASE_EXPIRED');
    proxy.pass();
    await until(() => causes().at(-1) === 'DEPLOY');
  });

  test('the plan for open positions, what is still open, and the time of a report on the clock of Serin', async () => {
    const rollbackPlan = { positions: 'CLOSE', maxSlippageBps: '25', deadlineSeconds: 60 };
    const id = await running(serin, { config: { ...CALM, rollbackPlan } });
    const { said, ended } = python(
      `
side = serin.side(sys.argv[2], "CANARY")
say(result=side.report(trades=1)["success"])
say(result=side.report(trades=2)["success"])
say(reported=True)
def obey(allocation):
    plan = allocation.rollback_plan
    say(cause=allocation.cause, plan=plan and [plan.positions, plan.max_slippage_bps, plan.deadline_seconds])
    return {"open_exposure_usd": 0} if plan else None
side.hold(obey).join()
`,
      id,
    );
    await until(() => said.some(({ cause }) => cause === 'DEPLOY'));
    const query = `query($id: ID!) { deployment(id: $id) { canaryMetrics { asOf reportedAt }
      allocation { sides { settled openExposureUsd } } } }`;
    const { asOf, reportedAt } = (await serin.ask(query, { id })).deployment.canaryMetrics;
    expect(Date.parse(reportedAt) - Date.parse(asOf)).toBeLessThan(3_600_000);
    await command(serin, 'rollbackCanary', id);
    expect(await ended).toEqual({ code: 0, errors: '' });
    expect(said.filter((line) => 'cause' in line)).toEqual([
      { cause: 'DEPLOY', plan: null },
      { cause: 'ROLLBACK', plan: ['CLOSE', '25', 60] },
    ]);
    expect((await serin.ask(query, { id })).deployment.allocation.sides[0]).toEqual({
      settled: true,
      openExposureUsd: '0',
    });
  });

  test('a key that no header can hold is refused at once; a function for it that fails is asked again', async () => {
    const id = await running(serin);
    const { said, ended } = python(
      `
for key in ("serin_a\\u2026b", "serin_a\\nb", lambda: "serin_a\\u200bb"):
    caller = Serin(sys.argv[1], key, on_notice=lambda sentence: say(notice=sentence))
    for ask in (lambda: caller.deployment("x"), lambda: next(caller.follow("subscription($after: String) { x }"))):
        try: ask()
        except SerinError as error: say(refused=[type(error).__name__, error.code, str(error)])
for url in ("localhost:4000", [], "http://ada:secret@127.0.0.1"):
    try: Serin(url)
    except ValueError as error: say(url=str(error).split(",")[0])
for seconds in (0, float("nan"), float("inf")):
    try: serin.side("x", "CANARY", stand_down_after_seconds=seconds)
    except ValueError as error: say(url=str(error).split(",")[0])
say(none=Serin(sys.argv[1], "from-a-file\\n").deployment("x"))
failing = 0
def key():
    global failing
    if failing:
        failing -= 1
        raise RuntimeError("the issuer is away")
side = Serin(sys.argv[1], key).side(sys.argv[2], "CANARY")
failing = 2
say(reported=side.report(trades=3)["success"])
failing = 2
say(capital=next(iter(side.allocations())).capital_usd)
`,
      id,
    );
    expect(await ended).toEqual({ code: 0, errors: '' });
    const why = expect.stringMatching(
      /^The key has a character that no HTTP header can hold \(U\+\w{4}, at position 8\)$/,
    );
    const both = ['SerinError', 'FeedRefused'].map((name) => ({ refused: [name, 'UNAUTHENTICATED', why] }));
    const urls = [
      'url must be http://HOST:PORT or https://HOST:PORT',
      'url must name at least one address',
      'url must not hold a user name or a password: give the key as key',
      ...Array(3).fill('stand_down_after_seconds must be more than 0 and at most 2147483'),
    ].map((url) => ({ url }));
    const rest = [{ none: null }, { reported: true }, { capital: '10000' }];
    expect(said).toEqual([...both, ...both, ...both, ...urls, ...rest]);
  });

  test('a bot that fails at an allocation is given the next one', async () => {
    const id = await running(serin);
    const { said, ended } = python(
      `
def obey(allocation):
    say(cause=allocation.cause)
    if allocation.cause == "DEPLOY": raise RuntimeError("the broker is away")
serin.side(sys.argv[2], "CANARY").hold(obey).join()
`,
      id,
    );
    await until(() => said.some(({ notice }) => String(notice).includes('the broker is away')));
    await command(serin, 'rollbackCanary', id);
    expect(await ended).toMatchObject({ code: 0, errors: expect.stringContaining('the broker is away') });
    expect(said.at(-1)).toEqual({ cause: 'ROLLBACK' });
  });

  test('requests that fail together leave a node that is away once, and do not come back to it', async () => {
    let asked = 0;
    const away = createServer((_, response) => {
      asked += 1;
      setTimeout(() => response.writeHead(503).end(), 300);
    });
    await once(away.listen(0, '127.0.0.1'), 'listening');
    const { port } = away.address() as AddressInfo;
    const { said, ended } = python(
      `
both = Serin([f"http://127.0.0.1:{sys.argv[2]}", sys.argv[1]])
threads = [threading.Thread(target=lambda: say(none=both.deployment("x"))) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`,
      String(port),
    );
    expect(await ended).toEqual({ code: 0, errors: '' });
    away.closeAllConnections();
    await new Promise((closed) => away.close(closed));
    expect([said, asked]).toEqual([[{ none: null }, { none: null }], 2]);
  });

  test('credentials do not follow a redirect to another host', async () => {
    const seen: IncomingHttpHeaders[] = [];
    const elsewhere = createServer((request, response) => {
      seen.push(request.headers);
      if (request.url === '/graphql') response.writeHead(302, { location: '/other' }).end();
      else response.end();
    });
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
    const { port } = elsewhere.address() as AddressInfo;
    const { said, ended } = python(
      `
try: Serin("http://127.0.0.1:" + sys.argv[2], "a-key", actor="me").deployment("x")
except SerinError as error: say(code=error.code)
`,
      String(port),
    );
    expect(await ended).toEqual({ code: 0, errors: '' });
    await new Promise((closed) => elsewhere.close(closed));
    expect(said).toEqual([{ code: 'NOT_SERIN' }]);
    expect(seen.map((headers) => [headers.authorization, headers['x-serin-actor']])).toEqual([
      ['Bearer a-key', 'me'],
      [undefined, undefined],
    ]);
  });

  test('a report waits for a server that is away, and many threads send one at a time', async () => {
    const id = await running(serin);
    const { child, said, ended } = python(
      `
side = serin.side(sys.argv[2], "CANARY")
say(ready=True)
sys.stdin.readline()
threads = [threading.Thread(target=side.report, kwargs={"trades": n + 1, "errors": n}) for n in range(30)]
for thread in threads: thread.start(); time.sleep(0.01)
for thread in threads: thread.join()
say(done=True)
`,
      id,
    );
    await until(() => said.length === 1);
    proxy.refuse();
    child.stdin.write('\n');
    await until(() => said.some(({ notice }) => String(notice).includes('a report was not answered')));
    proxy.pass();
    expect(await ended).toEqual({ code: 0, errors: '' });
    expect(await figures(id)).toMatchObject({ tradeCount: 30, errorCount: 29 });
  });

  test('figures that go with those of another thread have its answer, also where they are not sent', async () => {
    const id = await running(serin);
    const { child, said, ended } = python(
      `
side = serin.side(sys.argv[2], "CANARY")
say(first=side.report(trades=1)["success"])
sys.stdin.readline()
def report(n):
    answer = side.report(trades=n)
    say(answer=[answer["success"], answer["error"]["code"]])
threads = [threading.Thread(target=report, args=(n,)) for n in (2, 3)]
for thread in threads: thread.start(); time.sleep(0.02)
time.sleep(0.5)
side.close()
for thread in threads: thread.join()
`,
      id,
    );
    await until(() => said.some(({ first }) => first === true));
    proxy.refuse();
    proxy.cut();
    child.stdin.write('\n');
    expect(await ended).toEqual({ code: 0, errors: '' });
    const answers = said.flatMap(({ answer }) => (answer ? [answer] : []));
    expect(answers).toEqual([
      [false, 'CLOSED'],
      [false, 'CLOSED'],
    ]);
    expect(await figures(id)).toMatchObject({ tradeCount: 1 });
  });

  test('feeds, trades, commands and refusals', async () => {
    const id = await running(serin);
    const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
    const { said, ended } = python(
      `
feed = serin.follow("subscription($id: ID, $after: String) { eventAppended(deploymentId: $id, after: $after) { cursor no } }", {"id": sys.argv[2]}, after="0")
say(numbers=[next(feed)["no"] for _ in range(3)])
side = serin.side(sys.argv[2], "CANARY")
trades = [{"id": f"t{no}", "at": sys.argv[3], "pnlUsd": "0.1"} for no in range(1100)]
recorded = side.record_trades(trades)
say(trades=[recorded["taken"], recorded["known"]])
recorded = side.record_trades([*trades, {"id": "bad", "at": sys.argv[3]}])
say(again=recorded["known"], bad=recorded["refused"][0]["error"]["path"])
say(paused=serin.command("pauseDeployment", deploymentId=sys.argv[2])["deployment"]["status"])
say(refused=serin.command("pauseDeployment", deploymentId=sys.argv[2])["error"]["code"])
say(none=serin.deployment("dep_none"))
trade = {"id": "d", "at": sys.argv[3], "pnlUsd": Decimal("0.2")}
for fee in (Decimal(1) / 3, float("nan"), Decimal("Infinity")):
    try: say(decimals=side.record_trades([{**trade, "feesUsd": fee}])["taken"])
    except TypeError as error: say(refused=str(error).split(",")[0])
# What is left of amounts that nearly cancel.
allocation = next(side.allocations())
say(acknowledged=allocation.acknowledge(Decimal(10000) / 3, 0.1 + 0.2 - 0.3)["success"])
try: allocation.acknowledge(float("nan"))
except TypeError as error: say(refused=str(error).split(",")[0])
try: serin.query("{ nothing }")
except SerinError as error: say(error=error.code)
`,
      id,
      deployment.startedAt,
    );
    expect(await ended).toEqual({ code: 0, errors: '' });
    expect(said).toEqual([
      { numbers: [1, 2, 3] },
      { trades: [1100, 0] },
      { again: 1100, bad: ['trades', '1100', 'pnlUsd'] },
      { paused: 'PAUSED' },
      { refused: 'INVALID_TRANSITION' },
      { none: null },
      { decimals: 1 },
      { refused: 'input.trades.0.feesUsd must be a number' },
      { refused: 'input.trades.0.feesUsd must be a number' },
      { acknowledged: true },
      { refused: 'held_usd must be a number' },
      { error: 'GRAPHQL_VALIDATION_FAILED' },
    ]);
  });
});
