/** Webhooks as their owner manages them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BadEnvironment, readEnvironment } from '../../src/environment/environment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';
import { createWebhook, deliveriesOf, redeliver, updateWebhook } from './webhook.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
});
afterAll(() => serin.stop());

const url = 'http://127.0.0.1:9/hook';

test('a webhook is created, listed, changed and deleted; its secret is shown once', async () => {
  const { secret, webhook } = await createWebhook(serin, {
    url,
    description: 'ledger',
    eventTypes: ['CANARY_PROMOTED'],
  });
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(webhook).toMatchObject({
    status: 'ENABLED',
    description: 'ledger',
    eventTypes: ['CANARY_PROMOTED'],
    strategyId: null,
  });
  const changed = await updateWebhook(serin, {
    webhookId: webhook.id,
    eventTypes: null,
    description: null,
    enabled: false,
  });
  expect(changed).toMatchObject({
    success: true,
    secret: null,
    webhook: { eventTypes: null, description: null, status: 'DISABLED' },
  });
  expect(changed.webhook.disabledReason).toContain('anonymous');
  const { webhooks } = await serin.ask(
    '{ webhooks { nodes { id url createdBy } pageInfo { hasNextPage } } }',
  );
  expect(webhooks.nodes).toContainEqual({ id: webhook.id, url, createdBy: 'anonymous' });
  const drop =
    'mutation($input: DeleteWebhookInput!) { deleteWebhook(input: $input) { success error { code path } } }';
  const gone = async () => (await serin.ask(drop, { input: { webhookId: webhook.id } })).deleteWebhook;
  expect(await gone()).toEqual({ success: true, error: null });
  expect(await gone()).toEqual({ success: false, error: { code: 'NOT_FOUND', path: ['webhookId'] } });
  expect(await updateWebhook(serin, { webhookId: webhook.id, enabled: true })).toMatchObject({
    error: { code: 'NOT_FOUND' },
  });
  expect(await redeliver(serin, { webhookId: webhook.id })).toMatchObject({ error: { code: 'NOT_FOUND' } });
  expect(await deliveriesOf(serin, webhook.id)).toEqual([]);
});

test('a retry with the same key makes no second webhook and is shown the same secret', async () => {
  const input = { url, description: 'keyed', idempotencyKey: 'webhook-1' };
  const first = await createWebhook(serin, input);
  const again = await createWebhook(serin, input);
  expect(again).toEqual({ ...first, replayed: true });
  const other = await createWebhook(serin, { ...input, description: 'another' });
  expect(other).toMatchObject({
    success: false,
    error: { code: 'IDEMPOTENCY_KEY_REUSED', path: ['idempotencyKey'] },
  });
  const [row] = await serin.database.sql`select answer::text from idempotency_keys where key = 'webhook-1'`;
  expect(row?.answer).not.toContain('whsec_');
});

test('requests with one key at the same moment make one webhook, and all are shown it', async () => {
  const input = { url, description: 'at once', idempotencyKey: 'webhook-at-once' };
  const answers = await Promise.all(Array.from({ length: 8 }, () => createWebhook(serin, input)));
  expect(new Set(answers.map(({ webhook }) => webhook.id)).size).toBe(1);
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  const rows = await serin.database.sql`select id from webhooks where description = 'at once'`;
  expect(rows).toHaveLength(1);
});

test('what cannot be is refused with its field', async () => {
  const { webhook } = await createWebhook(serin, { url });
  expect(await updateWebhook(serin, { webhookId: webhook.id, eventTypes: [] })).toMatchObject({
    error: { code: 'INVALID_INPUT', path: ['eventTypes'] },
  });
  expect(await createWebhook(serin, { url, description: 'x'.repeat(501) })).toMatchObject({
    error: { code: 'INVALID_INPUT', path: ['description'] },
  });
  for (const input of [{}, { deliveryId: 'whd_1', webhookId: webhook.id }]) {
    expect(await redeliver(serin, input)).toMatchObject({
      error: { code: 'INVALID_INPUT', path: ['deliveryId'] },
    });
  }
  for (const deliveryId of ['whd_999', 'nonsense']) {
    expect(await redeliver(serin, { deliveryId })).toMatchObject({
      error: { code: 'NOT_FOUND', path: ['deliveryId'] },
    });
  }
  const { errors } = await serin.post(
    `mutation { createWebhook(input: { url: "${url}", after: "nonsense!" }) { success } }`,
  );
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['after'] });
});

test('there is a bound on their number, also when many are created at once', async () => {
  const own = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
  try {
    await createWebhook(own, { url });
    await own.database.sql`insert into webhooks (id, url, status, secret, cursor_xid, cursor_id, created_by)
      select id || n, url, status, secret, cursor_xid, cursor_id, created_by from webhooks, generate_series(1, 89) n`;
    const answers = await Promise.all(Array.from({ length: 24 }, () => createWebhook(own, { url })));
    expect(answers.filter(({ success }) => success)).toHaveLength(10);
    expect(answers.find(({ success }) => !success).error).toMatchObject({ code: 'LIMIT_REACHED' });
    const seen: string[] = [];
    for (let after: string | null = null; ; ) {
      const { webhooks } = await own.ask(
        'query($after: String) { webhooks(first: 33, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      seen.push(...webhooks.nodes.map(({ id }: { id: string }) => id));
      if (!webhooks.pageInfo.hasNextPage) break;
      after = webhooks.pageInfo.endCursor;
    }
    expect(new Set(seen).size).toBe(100);
    expect(seen).toHaveLength(100);
  } finally {
    await own.stop();
  }
});

test('networks in the environment are read, and a wrong one is named', () => {
  const read = (SERIN_WEBHOOKS_ALLOW_PRIVATE: string) => readEnvironment({ SERIN_WEBHOOKS_ALLOW_PRIVATE });
  expect(read('10.1.0.0/16, 127.0.0.1').webhookNetworks).toEqual(['10.1.0.0/16', '127.0.0.1']);
  expect(readEnvironment({}).webhookNetworks).toEqual([]);
  for (const wrong of ['true', '10.1', '10.0.0.0/99', '10.0.0.1,']) {
    expect(() => read(wrong)).toThrow(BadEnvironment);
  }
});

test('webhooks are for administrators, and one of some strategies sees those of their own', async () => {
  const own = await startTestSerin({ access: WITH_KEYS, webhookNetworks: ['127.0.0.0/8'] });
  try {
    const root = await administrator(own);
    const scoped = own.as(await makeKey(root, 'ADMIN', { strategies: ['mine-*'] }));
    const operator = own.as(await makeKey(root, 'OPERATOR'));
    const mutation =
      'mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { webhook { id } } }';
    const make = (caller: TestCaller, strategyId: string | null) =>
      caller.post(mutation, { input: { url, strategyId } });
    expect((await make(operator, 'mine-1')).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await make(scoped, 'theirs')).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    expect((await make(scoped, null)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    const mine = (await make(scoped, 'mine-1')).data.createWebhook.webhook.id;
    const theirs = (await make(root, null)).data.createWebhook.webhook.id;
    const { webhooks } = await scoped.ask('{ webhooks { nodes { id } } }');
    expect(webhooks.nodes).toEqual([{ id: mine }]);
    const { deleteWebhook } = await scoped.ask(
      'mutation($input: DeleteWebhookInput!) { deleteWebhook(input: $input) { error { code } } }',
      { input: { webhookId: theirs } },
    );
    expect(deleteWebhook.error.code).toBe('NOT_FOUND');
  } finally {
    await own.stop();
  }
});
