/**
 * Stored answers and who may read them: they belong to a person or a key, not to a name; they are shown under the rights
 * of today; and a signing secret is shown by the request that made it, while it is the newest.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { create } from '../harness/deployment.ts';
import { administrator, keyMadeHere, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS, webhookNetworks: ['127.0.0.1'] });
  root = await administrator(serin);
});
afterAll(() => serin.stop());

const UPDATE = `mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) {
  success replayed secret webhook { id } error { code } } }`;

async function newWebhook(by: TestCaller, strategyId: string): Promise<Data> {
  const { createWebhook } = await by.ask(
    `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success message secret webhook { id } } }`,
    { input: { url: 'http://127.0.0.1:9/hook', strategyId } },
  );
  expect(createWebhook).toMatchObject({ success: true });
  return createWebhook;
}

const rotate = async (by: TestCaller, webhookId: string, idempotencyKey: string): Promise<Data> =>
  (await by.ask(UPDATE, { input: { webhookId, rotateSecret: true, idempotencyKey } })).updateWebhook;

const narrow = (name: string) =>
  serin.database.sql`update api_keys set strategies = array['nothing'] where name = ${name}`;
/** Keys are cached for a second. */
const afterTheCache = () => new Promise((resolve) => setTimeout(resolve, 1100));

test('a secret created later by another caller is not shown to a retry', async () => {
  await create(root, { strategyId: 'eth-hooks' });
  const admin = serin.as(await makeKey(root, 'ADMIN', { name: 'hooks', strategies: ['eth-*'] }));
  const { webhook, secret: first } = await newWebhook(root, 'eth-hooks');
  const own = await rotate(admin, webhook.id, 'k1');
  expect(own.secret).toMatch(/^whsec_/);
  expect(own.secret).not.toBe(first);
  expect(await rotate(admin, webhook.id, 'k1')).toMatchObject({ replayed: true, secret: own.secret });
  const newer = await rotate(root, webhook.id, 'k2');
  expect(await rotate(admin, webhook.id, 'k1')).toMatchObject({ replayed: true, secret: null });
  expect(newer.secret).toMatch(/^whsec_/);
});

test('a retry by a caller whose rights were narrowed shows neither the webhook nor its secret', async () => {
  await create(root, { strategyId: 'btc-hooks' });
  const admin = serin.as(await makeKey(root, 'ADMIN', { name: 'narrowed', strategies: ['btc-*'] }));
  const { webhook } = await newWebhook(root, 'btc-hooks');
  expect((await rotate(admin, webhook.id, 'k1')).secret).toMatch(/^whsec_/);
  await narrow('narrowed');
  await afterTheCache();
  expect(await rotate(admin, webhook.id, 'k1')).toEqual({
    success: false,
    replayed: false,
    secret: null,
    webhook: null,
    error: { code: 'NOT_FOUND' },
  });
});

test('a key that takes the name of a revoked one has none of its answers', async () => {
  const input = { strategyId: 'sol-a', stableVersionId: 'v1', canaryVersionId: 'v2', idempotencyKey: 'same' };
  const CREATE = `mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) {
    success replayed error { code } deployment { id } } }`;
  const before = serin.as(await makeKey(root, 'OPERATOR', { name: 'reused' }));
  expect((await before.ask(CREATE, { input })).createDeployment).toMatchObject({ success: true });
  await root.ask('mutation { revokeApiKey(input: { id: "reused" }) { success } }');
  const after = serin.as(await makeKey(root, 'OPERATOR', { name: 'reused' }));
  expect((await after.ask(CREATE, { input })).createDeployment).toMatchObject({
    replayed: false,
    error: { code: 'STRATEGY_BUSY' },
  });
});

test('keys of one person share their answers: rotation does nothing twice', async () => {
  const input = { strategyId: 'sol-b', stableVersionId: 'v1', canaryVersionId: 'v2', idempotencyKey: 'same' };
  const CREATE = `mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) { success replayed } }`;
  const [old, next] = await Promise.all(
    ['bot-1', 'bot-2'].map(async (name) =>
      serin.as(
        await keyMadeHere(serin, { name, role: 'OPERATOR', person: name === 'bot-1' ? 'Bot@X' : 'bot@x ' }),
      ),
    ),
  );
  expect((await old?.ask(CREATE, { input }))?.createDeployment).toEqual({ success: true, replayed: false });
  expect((await next?.ask(CREATE, { input }))?.createDeployment).toEqual({ success: true, replayed: true });
});

test('an answer that an earlier version stored under a name is found by the key of that time only', async () => {
  const input = { strategyId: 'sol-c', stableVersionId: 'v1', canaryVersionId: 'v2', idempotencyKey: 'old' };
  const CREATE = `mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) { success replayed } }`;
  const key = serin.as(await makeKey(root, 'OPERATOR', { name: 'veteran' }));
  await key.ask(CREATE, { input });
  await serin.database.sql`update idempotency_keys set actor = 'veteran' where key = 'old'`;
  expect((await key.ask(CREATE, { input })).createDeployment).toEqual({ success: true, replayed: true });
  await root.ask('mutation { revokeApiKey(input: { id: "veteran" }) { success } }');
  const other = serin.as(await makeKey(root, 'OPERATOR', { name: 'veteran' }));
  expect((await other.ask(CREATE, { input })).createDeployment).toEqual({ success: false, replayed: false });
});

test('old answers are deleted after a start, also where that fails at first, and those of the last days are kept', async () => {
  const { sql } = serin.database;
  await serin.restart({}, async () => {
    await sql`insert into idempotency_keys (actor, key, request, answer, created_at)
      select 'old', n::text, '', '{}', clock_timestamp() - interval '49 hours' from generate_series(1, 20001) n`;
    await sql`insert into idempotency_keys (actor, key, request, answer, created_at)
      values ('new', 'kept', '', '{}', clock_timestamp() - interval '47 hours')`;
    await sql`create function refuse() returns trigger language plpgsql as $$ begin raise 'not now'; end $$`;
    await sql`create trigger refuse before delete on idempotency_keys for each statement execute function refuse()`;
  });
  await until(() => serin.warnings.some((line) => line.includes('not now')));
  await sql`drop trigger refuse on idempotency_keys`;
  const left = () => sql`select actor from idempotency_keys where actor in ('old', 'new')`;
  await until(async () => (await left()).length <= 1);
  expect(await left()).toEqual([{ actor: 'new' }]);
});
