/** What reads or computes much has a price, waits for its turn, and ends when nobody waits for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHeavyReads, TooManyHeavyReads } from '../../src/app/execution/heavyReads.ts';
import { CALM, command, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import { type Caller, callerOf, TRANSPORTS, type Transport } from './matrix/transports.ts';

let serin: TestSerin;
let root: TestCaller;
let viewer: TestCaller;
/** The viewer without a client library. */
let direct: Caller;
let id: string;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  const key = await makeKey(root, 'VIEWER');
  viewer = serin.as(key);
  direct = callerOf(serin, 'viewer', `Bearer ${key}`);
  id = await running(root, { config: CALM });
});
afterAll(async () => {
  direct.close();
  await serin.stop();
});

const aliases = (count: number, field: string) =>
  Array.from({ length: count }, (_, index) => `a${index}: ${field}`).join(' ');

describe('a price', () => {
  test.each([
    ['exports', () => aliases(3, `exportDeployment(id: "${id}")`)],
    ['replays', () => aliases(6, `replayPolicy(deploymentId: "${id}") { outcome }`)],
    ['simulations', () => aliases(6, 'simulatePolicy { complete }')],
    ['introspection', () => aliases(2, '__type(name: "Query") { name }')],
  ])('%s in aliases are refused before anything is read, over every transport', async (_what, fields) => {
    const { errors } = await viewer.post(`{ ${fields()} }`);
    expect(errors?.[0]).toMatchObject({ extensions: { code: 'TOO_COMPLEX' } });
    for (const transport of TRANSPORTS) {
      expect(await direct.send(transport, { query: `{ ${fields()} }`, variables: {} })).toContain(
        '"TOO_COMPLEX"',
      );
    }
  });

  test.each([
    [
      'a fragment',
      () => `{ ...Both } fragment Both on Query { ${aliases(3, `exportDeployment(id: "${id}")`)} }`,
    ],
    [
      'the default value of a variable',
      () =>
        'query($first: Int = 200) { deployments(first: $first) { nodes { events(first: $first) { nodes { id } } } } }',
    ],
    [
      'a field that counts',
      () => `{ strategies(first: 200) { nodes { ${aliases(6, 'deployments(first: 1) { totalCount }')} } } }`,
    ],
  ])('cannot be hidden in %s', async (_what, document) => {
    const { errors } = await viewer.post(document());
    expect(errors?.[0]).toMatchObject({ extensions: { code: 'TOO_COMPLEX' } });
  });

  test('one export of a document is not', async () => {
    expect((await viewer.ask(`{ exportDeployment(id: "${id}") }`)).exportDeployment.deployment.id).toBe(id);
  });
});

describe('turns', () => {
  const never = new AbortController().signal;

  test('a caller has one heavy read at a time, others do not wait for it', async () => {
    const reads = createHeavyReads();
    let running = 0;
    let most = 0;
    const work = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
    };
    await Promise.all([1, 2, 3].map(() => reads.run('one', never, work)));
    expect(most).toBe(1);
    await Promise.all(['a', 'b', 'c'].map((caller) => reads.run(caller, never, work)));
    expect(most).toBe(3);
  });

  test('only a few may wait, and an abandoned one never begins', async () => {
    const reads = createHeavyReads();
    let release = () => {};
    const first = reads.run('one', never, () => new Promise<void>((done) => (release = done)));
    const left = new AbortController();
    let begun = false;
    const waiting = reads
      .run('one', left.signal, async () => (begun = true))
      .catch((error: unknown) => error);
    const more = [1, 2, 3].map(() => reads.run('one', never, async () => 'done'));
    await expect(reads.run('one', never, async () => 'done')).rejects.toThrow(TooManyHeavyReads);
    left.abort(new Error('left'));
    release();
    await first;
    expect(await waiting).toMatchObject({ message: 'left' });
    expect(await Promise.all(more)).toEqual(['done', 'done', 'done']);
    expect(begun).toBe(false);
  });
});

describe('refusals', () => {
  const stored = async (): Promise<number> =>
    Number((await serin.database.sql`select count(*) as n from idempotency_keys`)[0]?.n);
  const ATTEMPTS: readonly [string, string][] = [
    ['a command', 'promoteCanary(input: { deploymentId: "nowhere", idempotencyKey: "KEY" }) { success }'],
    ['an import', 'importDeployment(input: { document: {}, idempotencyKey: "KEY" }) { success }'],
    [
      'a creation',
      'createDeployment(input: { strategyId: "s", canaryVersionId: "v", idempotencyKey: "KEY" }) { success }',
    ],
  ];
  test.each(ATTEMPTS)('of %s by a VIEWER write nothing', async (_what, mutation) => {
    const before = await stored();
    for (let index = 0; index < 5; index += 1) {
      await viewer.post(`mutation { ${mutation.replace('KEY', `k${index}`)} }`);
    }
    expect(await stored()).toBe(before);
  });

  test('are bounded per caller', async () => {
    const operator = serin.as(await makeKey(root, 'OPERATOR'));
    const before = await stored();
    let unanswered = 0;
    for (let batch = 0; batch < 21; batch += 1) {
      const field = (index: number) =>
        `a${index}: promoteCanary(input: { deploymentId: "nowhere", idempotencyKey: "b${batch}-${index}" }) { success }`;
      const { data } = await operator.post(
        `mutation { ${Array.from({ length: 50 }, (_each, index) => field(index)).join(' ')} }`,
      );
      unanswered += Object.values({ ...data }).filter((result) => result === null).length || (data ? 0 : 50);
    }
    const kept = (await stored()) - before;
    // One that is not answered in time counts, and may store nothing.
    expect(kept).toBeLessThanOrEqual(1000);
    expect(kept).toBeGreaterThanOrEqual(1000 - unanswered);
  });
});

describe('commands that change a deployment in turn do not append events indefinitely', () => {
  type InTurn = (deploymentId: string, index: number) => string;
  const ATTACKS: readonly [string, Exclude<Transport, 'GET'>, 'BOT' | 'OPERATOR', InTurn][] = [
    [
      'acknowledgements',
      'POST',
      'BOT',
      (id, index) =>
        `acknowledgeAllocation(input: { deploymentId: "${id}", number: 1, side: CANARY, heldUsd: "${1000 + index}" })`,
    ],
    [
      'pauses and resumptions',
      'WebSocket',
      'OPERATOR',
      (id, index) =>
        `${index % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment'}(input: { deploymentId: "${id}" })`,
    ],
    [
      'acknowledgements of either side',
      'SSE',
      'OPERATOR',
      (id, index) =>
        `acknowledgeAllocation(input: { deploymentId: "${id}", number: 1, heldUsd: "${1000 + index}",
          side: ${index % 2 === 0 ? 'CANARY' : 'STABLE'} })`,
    ],
  ];

  test.each(ATTACKS)('%s over %s', async (_what, transport, role, commandAt) => {
    const attacker = callerOf(serin, role, `Bearer ${await makeKey(root, role)}`);
    const busy = await running(root, { config: CALM });
    let answer = '';
    for (let batch = 0; batch < 100 && !answer.includes('LIMIT_REACHED'); batch += 1) {
      const field = (index: number) => `a${index}: ${commandAt(busy, 10 * batch + index)} { error { code } }`;
      const fields = Array.from({ length: 10 }, (_each, index) => field(index)).join(' ');
      answer = await attacker.send(transport, { query: `mutation { ${fields} }`, variables: {} });
    }
    expect(answer).toContain('LIMIT_REACHED');
    attacker.close();
    // What lowers the risk is done at any time.
    expect((await command(root, 'rollbackCanary', busy)).deployment.status).toBe('ROLLED_BACK');
  });
});

describe('simulations', () => {
  const SLOW = 'subscription { policySimulation(assumptions: { runs: 10000 }) { completedRuns complete } }';

  test('two of a caller; another caller has its turn', async () => {
    const [first, second] = [viewer.follow(SLOW), viewer.follow(SLOW)];
    await Promise.all([first.take(1), second.take(1)]);
    const { errors } = await viewer.post('{ simulatePolicy(assumptions: { runs: 2 }) { complete } }');
    expect(errors?.[0]).toMatchObject({ extensions: { code: 'RATE_LIMITED' } });
    for (const transport of ['SSE', 'WebSocket'] as const)
      expect(await direct.send(transport, { query: SLOW, variables: {} })).toContain('"RATE_LIMITED"');
    const other = serin.as(await makeKey(root, 'VIEWER'));
    const { simulatePolicy } = await other.ask('{ simulatePolicy(assumptions: { runs: 2 }) { complete } }');
    expect(simulatePolicy.complete).toBe(true);
    first.end();
    second.end();
    await until(
      async () => !(await viewer.post('{ simulatePolicy(assumptions: { runs: 2 }) { complete } }')).errors,
    );
  });
});
