/** Names that a caller with limited strategies chooses tell it nothing of what others have. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, create, running } from '../harness/deployment.ts';
import { administrator, keyMadeHere, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let eth: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  eth = serin.as(await makeKey(root, 'ADMIN', { name: 'eth', strategies: ['eth-*'] }));
});
afterAll(() => serin.stop());

test('an id that another caller has taken is refused like a free one', async () => {
  await running(root, { id: 'taken', strategyId: 'btc-a' });
  const [taken, free] = [
    await create(eth, { id: 'taken', strategyId: 'eth-a' }),
    await create(eth, { id: 'freed', strategyId: 'eth-a' }),
  ];
  expect(JSON.stringify(taken).replaceAll('taken', 'freed')).toBe(JSON.stringify(free));
  expect(free.error).toMatchObject({ code: 'INVALID_INPUT', path: ['id'] });
});

test('an import of an id that another caller has taken is refused like a free one', async () => {
  const id = await running(root, { strategyId: 'eth-moved' });
  const { exportDeployment } = await root.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
  const importing = async (name: string): Promise<Data> =>
    (
      await eth.ask(
        'mutation($d: JSON!) { importDeployment(input: { document: $d }) { success message error { code path } } }',
        { d: JSON.parse(JSON.stringify(exportDeployment).replaceAll(id, name)) },
      )
    ).importDeployment;
  const [taken, free] = [await importing('taken'), await importing('freed')];
  expect(JSON.stringify(taken).replaceAll('taken', 'freed')).toBe(JSON.stringify(free));
});

test('ids of its own begin with the strategy, and other callers cannot take them', async () => {
  const own = await create(eth, { id: 'eth-b~42', strategyId: 'eth-b' });
  expect(own).toMatchObject({ success: true, deployment: { id: 'eth-b~42' } });
  expect((await command(eth, 'deployCanary', 'eth-b~42', { capitalUsd: '1000' })).success).toBe(true);
  expect((await create(eth, { strategyId: 'eth-c' })).deployment.id).toMatch(/^dep_/);
  for (const id of ['eth-b~43', 'eth-d~', 'eth-d~1~2', '~1']) {
    expect((await create(root, { id, strategyId: 'eth-d' })).error, id).toMatchObject({ path: ['id'] });
  }
});

test('a deployment takes the name of no other strategy, a strategy the id of no other deployment', async () => {
  await create(root, { strategyId: 'sol-a' });
  expect((await create(root, { id: 'sol-a', strategyId: 'sol-b' })).error).toMatchObject({ path: ['id'] });
  await create(root, { id: 'dep-one', strategyId: 'sol-d' });
  expect((await create(root, { strategyId: 'dep-one' })).error).toMatchObject({ path: ['strategyId'] });
  // Its own strategy may have its name: `node` is the deployment then.
  expect(await create(root, { id: 'sol-c', strategyId: 'sol-c' })).toMatchObject({ success: true });
  const { node } = await root.ask('{ node(id: "sol-c") { __typename id } }');
  expect(node).toEqual({ __typename: 'CanaryDeployment', id: 'sol-c' });
});

test('names of keys that another caller has taken are refused like free ones', async () => {
  await makeKey(root, 'BOT', { name: 'btc-bot' });
  const CREATE = `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { success message error { code path } } }`;
  const make = async (name: string): Promise<Data> =>
    (await eth.ask(CREATE, { input: { name, role: 'BOT', strategies: ['eth-*'] } })).createApiKey;
  const [taken, free] = [await make('btc-bot'), await make('btc-box')];
  expect(JSON.stringify(taken).replaceAll('btc-bot', 'btc-box')).toBe(JSON.stringify(free));
  expect(await make('eth/bot')).toMatchObject({ success: true });
  expect(await make('ETH/BOT')).toMatchObject({ success: false });
  expect(await make('eth/a/b')).toMatchObject({ success: false });
});

test('no two valid keys look alike, and a limited administrator makes keys of no other person', async () => {
  await keyMadeHere(serin, { name: 'Look-Alike', role: 'VIEWER' });
  await expect(keyMadeHere(serin, { name: 'look-alike', role: 'VIEWER' })).rejects.toThrow('already exists');
  for (const name of ['serin', 'SERIN', 'cli:root', 'Cli:x']) {
    await expect(keyMadeHere(serin, { name, role: 'VIEWER' })).rejects.toThrow('reserved');
  }
  await expect(makeKey(eth, 'BOT', { name: 'eth/x', strategies: ['eth-*'], person: 'ada' })).rejects.toThrow(
    'person',
  );
});
