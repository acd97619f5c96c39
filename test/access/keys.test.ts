/** API keys: made, listed, used, revoked, and what is left of them in the database and in the audit trail. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import { callerOf, TRANSPORTS } from '../security/matrix/transports.ts';

let serin: TestSerin;
let root: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
});
afterAll(() => serin.stop());

const KEY =
  'id prefix name role strategies createdAt createdBy expiresAt expired revokedAt revokedBy lastUsedAt';

async function create(by: TestCaller, input: Record<string, unknown>): Promise<Data> {
  const { createApiKey } = await by.ask(
    `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
      success message key error { code message path } apiKey { ${KEY} } } }`,
    { input: { role: 'VIEWER', ...input } },
  );
  return createApiKey;
}

async function revoke(by: TestCaller, id: string): Promise<Data> {
  const { revokeApiKey } = await by.ask(
    `mutation($id: ID!) { revokeApiKey(input: { id: $id }) { success message error { code } apiKey { ${KEY} } } }`,
    { id },
  );
  return revokeApiKey;
}

async function keys(by: TestCaller): Promise<Data[]> {
  return (await by.ask(`{ apiKeys(first: 200) { nodes { ${KEY} } } }`)).apiKeys.nodes;
}

test('a key is shown once, and only its hash is kept', async () => {
  const made = await create(root, { name: 'once', strategies: ['eth-*'] });
  expect(made.key).toMatch(/^serin_[0-9a-f]{12}_[\w-]{43}$/);
  expect(made.apiKey).toMatchObject({
    name: 'once',
    role: 'VIEWER',
    strategies: ['eth-*'],
    createdBy: 'root',
  });
  expect(made.key.startsWith(`${made.apiKey.prefix}_`)).toBe(true);
  const [stored] = await serin.database.sql`select * from api_keys where id = ${made.apiKey.id}`;
  expect(stored?.hash).toBe(createHash('sha256').update(made.key).digest('hex'));
  const everything = await serin.database.sql`
    select coalesce(string_agg(t::text, ' '), '') as text from (
      select k::text as t from api_keys k union all select a::text from audit_records a) x`;
  const secret = made.key.split('_').slice(2).join('_');
  expect(everything[0]?.text).not.toContain(secret);
  expect(JSON.stringify(await keys(root))).not.toContain(secret);
});

test.each([
  ['an empty name', { name: '' }, 'name'],
  ['a name with a line break', { name: 'a\nb' }, 'name'],
  ['the name of Serin itself', { name: 'serin' }, 'name'],
  ['the name of Serin in capitals', { name: 'Serin' }, 'name'],
  ['a name of the command line', { name: 'cli:root' }, 'name'],
  ['a pattern of nine stars', { name: 'x', strategies: ['a*b*c*d*e*f*g*h*i*'] }, 'strategies'],
  ['no pattern at all', { name: 'x', strategies: [] }, 'strategies'],
  ['an odd pattern', { name: 'x', strategies: ['eth-*', 'a b'] }, 'strategies'],
  ['a time that has passed', { name: 'x', expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
  ['a life of no time', { name: 'x', expiresInSeconds: 0 }, 'expiresInSeconds'],
  ['two ends', { name: 'x', expiresInSeconds: 60, expiresAt: '2099-01-01T00:00:00Z' }, 'expiresInSeconds'],
])('%s is refused with its field', async (_what, input, field) => {
  const before = await keys(root);
  expect(await create(root, input)).toMatchObject({
    success: false,
    key: null,
    error: { code: 'INVALID_INPUT', path: [field] },
  });
  expect(await keys(root)).toHaveLength(before.length);
});

test('two good keys never have one name; a revoked one gives its name free', async () => {
  await create(root, { name: 'taken' });
  expect((await create(root, { name: 'taken' })).error).toMatchObject({
    code: 'ALREADY_EXISTS',
    path: ['name'],
  });
  expect((await revoke(root, 'taken')).success).toBe(true);
  expect((await create(root, { name: 'taken' })).success).toBe(true);
});

test('a revoked key is refused immediately, and only its holder learns why', async () => {
  const { key, apiKey } = await create(root, { name: 'short' });
  expect((await serin.as(key).ask('{ viewer { actor role strategies } }')).viewer).toEqual({
    actor: 'short',
    role: 'VIEWER',
    strategies: null,
  });
  expect(await revoke(root, apiKey.id)).toMatchObject({ success: true, apiKey: { revokedBy: 'root' } });
  const after = await serin.as(key).post('{ viewer { actor } }');
  expect(after.errors?.[0]).toMatchObject({
    message: expect.stringContaining('short has been revoked'),
    extensions: { code: 'UNAUTHENTICATED' },
  });
  const other = await serin
    .as(`${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`)
    .post('{ viewer { actor } }');
  expect(JSON.stringify(other)).toContain('key is unknown');
  expect((await revoke(root, apiKey.id)).apiKey.revokedBy).toBe('root');
  expect((await revoke(root, 'key_000000000000')).error.code).toBe('NOT_FOUND');
});

test('an id revokes the key that has it, whatever another one is named', async () => {
  const { key, apiKey } = await create(root, { name: 'meant' });
  const named = await create(root, { name: apiKey.id });
  // Its use is recorded, which moves its row behind that of the other one.
  await serin.as(key).ask('{ viewer { actor } }');
  await until(async () => (await keys(root)).some(({ id, lastUsedAt }) => id === apiKey.id && lastUsedAt));
  expect((await revoke(root, apiKey.id)).apiKey.id).toBe(apiKey.id);
  expect((await revoke(root, named.apiKey.id)).apiKey.id).toBe(named.apiKey.id);
});

test('a key that has expired is refused', async () => {
  const { key, apiKey } = await create(root, { name: 'brief', expiresAt: '2099-01-01T00:00:00Z' });
  expect((await serin.as(key).ask('{ viewer { actor } }')).viewer.actor).toBe('brief');
  await serin.database.sql`update api_keys set expires_at = clock_timestamp() where id = ${apiKey.id}`;
  await until(async () =>
    JSON.stringify(await serin.as(key).post('{ viewer { actor } }')).includes('has expired'),
  );
  expect((await keys(root)).find(({ id }) => id === apiKey.id)).toMatchObject({
    expired: true,
    revokedAt: null,
  });
});

test('a life in seconds is counted by the database, whose clock decides', async () => {
  const { apiKey } = await create(root, { name: 'hourly', expiresInSeconds: 3600 });
  const life = Date.parse(apiKey.expiresAt) - Date.parse(apiKey.createdAt);
  // A machine that stands still between the two makes it a little longer.
  expect(Math.abs(life - 3_600_000)).toBeLessThan(60_000);
  const [record] = await serin.database.sql`select details from audit_records where subject = ${apiKey.id}`;
  expect(record?.details.expiresAt).toBe(apiKey.expiresAt);
});

test('the last use is known, and written once a minute only', async () => {
  const { key, apiKey } = await create(root, { name: 'busy' });
  const used = async () => (await keys(root)).find(({ id }) => id === apiKey.id)?.lastUsedAt;
  const writes = async () => {
    const [row] = await serin.database.sql`select xmin::text as writer from api_keys where id = ${apiKey.id}`;
    return row?.writer;
  };
  expect(await used()).toBeNull();
  const guessed = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`;
  // Neither a guessed secret nor one that is too long counts, over any transport.
  for (const wrong of [guessed, `${key}A`, key.slice(0, -1)]) {
    const guesser = callerOf(serin, 'guesser', `Bearer ${wrong}`);
    for (const transport of TRANSPORTS) {
      const answer = await guesser.send(transport, { query: '{ viewer { actor } }', variables: {} });
      expect(answer, transport).toContain('UNAUTHENTICATED');
    }
    guesser.close();
  }
  expect(await used()).toBeNull();
  await serin.as(key).ask('{ viewer { actor } }');
  await until(async () => (await used()) !== null);
  const written = await writes();
  const until2 = Date.now() + 2500;
  while (Date.now() < until2) await serin.as(key).ask('{ viewer { actor } }');
  expect(await writes()).toBe(written);
  await serin.database
    .sql`update api_keys set last_used_at = last_used_at - interval '2 minutes' where id = ${apiKey.id}`;
  const before = await used();
  await until(async () => {
    await serin.as(key).ask('{ viewer { actor } }');
    return (await used()) !== before;
  });
});

test('a batch of a key of some strategies is taken in its order, also where they are looked up for it', async () => {
  const id = await running(root, { strategyId: 'ordered', config: CALM });
  const bot = serin.as(await makeKey(root, 'BOT', { strategies: ['ord*'] }));
  const reports = Array.from({ length: 100 }, (_, trades) => ({ deploymentId: id, side: 'CANARY', trades }));
  const { reportMetrics } = await bot.ask(
    'mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { message } }',
    { input: { reports } },
  );
  expect(reportMetrics.message).toBe('100 of 100 reports taken');
});

test('every act of an administrator is in the audit trail, which pages', async () => {
  const { apiKey } = await create(root, { name: 'traced', role: 'BOT', strategies: ['t-*'] });
  await revoke(root, 'traced');
  const { auditRecords } = await root.ask(
    '{ auditRecords(filter: { actions: [API_KEY_CREATED, API_KEY_REVOKED] }, first: 2) { nodes { actor action subject details at } pageInfo { endCursor hasNextPage } } }',
  );
  expect(auditRecords.nodes).toMatchObject([
    { actor: 'root', action: 'API_KEY_REVOKED', subject: apiKey.id, details: { name: 'traced' } },
    {
      actor: 'root',
      action: 'API_KEY_CREATED',
      subject: apiKey.id,
      details: { name: 'traced', role: 'BOT', strategies: ['t-*'], expiresAt: null },
    },
  ]);
  const next = await root.ask(
    'query($after: String) { auditRecords(filter: { actions: [API_KEY_CREATED, API_KEY_REVOKED] }, first: 1, after: $after) { nodes { subject } } }',
    {
      after: auditRecords.pageInfo.endCursor,
    },
  );
  expect(next.auditRecords.nodes[0].subject).not.toBe(apiKey.id);
});

test('keys page by name, and an administrator of some strategies has to do with their keys only', async () => {
  for (const name of ['page-1', 'page-2', 'page-3'])
    await makeKey(root, 'VIEWER', { name, strategies: ['page-x'] });
  const local = serin.as(await makeKey(root, 'ADMIN', { name: 'local', strategies: ['page-*'] }));
  const names: string[] = [];
  for (let after: string | null = null, more = true; more; ) {
    const { apiKeys }: Data = await local.ask(
      'query($after: String) { apiKeys(first: 2, after: $after) { nodes { name } pageInfo { endCursor hasNextPage } } }',
      { after },
    );
    names.push(...apiKeys.nodes.map(({ name }: { name: string }) => name));
    after = apiKeys.pageInfo.endCursor;
    more = apiKeys.pageInfo.hasNextPage;
  }
  expect(names).toEqual(['local', 'page-1', 'page-2', 'page-3']);
  expect((await revoke(local, 'root')).error.code).toBe('NOT_FOUND');
  for (const strategies of [null, ['*'], ['other']]) {
    expect((await create(local, { name: 'wide', role: 'ADMIN', strategies })).error.path).toEqual([
      'strategies',
    ]);
  }
  expect((await create(local, { name: 'local/narrow', strategies: ['page-a*'] })).success).toBe(true);
  const { auditRecords } = await local.ask(
    '{ auditRecords(filter: { actions: [API_KEY_CREATED, API_KEY_REVOKED] }, first: 200) { nodes { details } } }',
  );
  const about = auditRecords.nodes.map(({ details }: Data) => details.name).sort();
  expect(about).toEqual(['local', 'local/narrow', 'page-1', 'page-2', 'page-3']);
});
