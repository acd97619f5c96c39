/** Delivery to a real receiver: signed, in order, again after failures, and never lost. */
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/environment/environment.ts';
import { startSerin } from '../../src/serin.ts';
import { CALM, command, create, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { numbersOf, type Receiver, startReceiver } from './receiver.ts';
import { createWebhook, deliveriesOf, hurry, redeliver, updateWebhook } from './webhook.ts';

let serin: TestSerin;
const receivers: Receiver[] = [];
beforeAll(async () => {
  serin = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
});
afterAll(() => serin.stop());
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

async function receiver(): Promise<Receiver> {
  const started = await startReceiver();
  receivers.push(started);
  return started;
}

/** Nothing happens by itself: the events are those of the test's commands. */
const STILL = { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 60_000 };
const start = (more: Record<string, unknown> = {}) => running(serin, { config: STILL, ...more });

const SEVEN = [1, 2, 3, 4, 5, 6, 7];
/** A deployment with seven events. */
async function pausedTwice(strategyId: string): Promise<string> {
  const id = await start({ strategyId });
  for (let round = 0; round < 2; round += 1) {
    await command(serin, 'pauseDeployment', id);
    await command(serin, 'resumeDeployment', id);
  }
  return id;
}

test('an event arrives once, signed, with its id as the message id', async () => {
  const to = await receiver();
  const { secret, webhook } = await createWebhook(serin, { url: to.url, strategyId: 'signed' });
  expect(secret).toMatch(/^whsec_/);
  const id = await start({ strategyId: 'signed' });
  await start({ strategyId: 'another' });
  await until(() => to.taken.length >= 3);
  for (const { headers, text } of to.taken) {
    expect(() => new Webhook(secret).verify(text, headers)).not.toThrow();
    expect(() => new Webhook(secret).verify(`${text} `, headers)).toThrow();
  }
  expect(to.taken.map(({ headers }) => headers['webhook-id'])).toEqual([`${id}:1`, `${id}:2`, `${id}:3`]);
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { events { edges { cursor node { id at type description details } } } } }',
    { id },
  );
  const { cursor, node } = deployment.events.edges[1];
  expect(to.taken[1]?.body).toMatchObject({
    type: 'CANARY_STARTED',
    timestamp: node.at,
    data: {
      id: node.id,
      cursor,
      deploymentId: id,
      strategyId: 'signed',
      no: 2,
      actor: 'anonymous',
      previousStatus: 'PENDING',
      status: 'RUNNING',
      description: node.description,
      details: node.details,
    },
  });
  await until(async () =>
    (await deliveriesOf(serin, webhook.id)).every(({ status }) => status === 'DELIVERED'),
  );
  const deliveries = await deliveriesOf(serin, webhook.id);
  expect(deliveries).toHaveLength(3);
  expect(deliveries[0]).toMatchObject({ messageId: `${id}:3`, attemptCount: 1, nextAttemptAt: null });
  expect(deliveries[0].attempts).toMatchObject([{ number: 1, httpStatus: 200, error: null }]);
  expect(to.received).toHaveLength(3);
});

test('only the types asked for, and nothing of a deployment outside the timeline', async () => {
  const to = await receiver();
  await createWebhook(serin, { url: to.url, eventTypes: ['CANARY_PAUSED', 'CANARY_ROLLED_BACK'] });
  const silent = await start({ config: { ...STILL, emitEvents: false } });
  await command(serin, 'pauseDeployment', silent);
  const id = await start();
  await command(serin, 'pauseDeployment', id);
  await command(serin, 'rollbackCanary', id);
  await until(() => to.taken.length >= 2);
  expect(to.taken.map(({ body }) => [body.data.deploymentId, body.type])).toEqual([
    [id, 'CANARY_PAUSED'],
    [id, 'CANARY_ROLLED_BACK'],
  ]);
});

test('a webhook may begin in the past, after a cursor', async () => {
  const to = await receiver();
  const id = await pausedTwice('from-before');
  await createWebhook(serin, { url: to.url, strategyId: 'from-before', after: '0' });
  await until(() => to.taken.length >= 7);
  expect(numbersOf(to.taken, id)).toEqual(SEVEN);
});

describe('failures', () => {
  test('the events of a deployment wait for the one that fails; another deployment does not', async () => {
    const to = await receiver();
    let broken = true;
    to.answer = ({ body }) =>
      broken && body.type === 'CANARY_STARTED' && body.data.strategyId === 'stuck' ? 503 : 200;
    const { webhook } = await createWebhook(serin, { url: to.url });
    const stuck = await pausedTwice('stuck');
    const free = await pausedTwice('free');
    await until(() => numbersOf(to.taken, free).length === 7);
    expect(numbersOf(to.taken, stuck)).toEqual([1]);
    await until(async () => {
      await hurry(serin, webhook.id);
      return numbersOf(to.received, stuck).length >= 4;
    });
    expect(numbersOf(to.received, stuck).slice(0, 4)).toEqual([1, 2, 2, 2]);
    broken = false;
    await until(async () => {
      await hurry(serin, webhook.id);
      return numbersOf(to.taken, stuck).length === 7;
    });
    expect(numbersOf(to.taken, stuck)).toEqual(SEVEN);
    expect(numbersOf(to.taken, free)).toEqual(SEVEN);
    await until(async () => (await deliveriesOf(serin, webhook.id, { status: ['PENDING'] })).length === 0);
    const second = (await deliveriesOf(serin, webhook.id, { deploymentId: stuck })).find(
      ({ eventNo }) => eventNo === 2,
    );
    const tries: Data[] = second.attempts;
    expect(tries.slice(0, 3).map(({ httpStatus }) => httpStatus)).toEqual([503, 503, 503]);
    expect(tries.at(-1)).toMatchObject({ httpStatus: 200, error: null, nextAttemptAt: null });
    expect(tries.slice(0, -1).every(({ nextAttemptAt }) => nextAttemptAt !== null)).toBe(true);
  });

  test('a dead receiver does not delay another', async () => {
    const dead = await receiver();
    dead.answer = () => null;
    const to = await receiver();
    await createWebhook(serin, { url: dead.url, strategyId: 'two-receivers' });
    await createWebhook(serin, { url: to.url, strategyId: 'two-receivers' });
    const id = await pausedTwice('two-receivers');
    await until(() => to.taken.length >= 7, 8000);
    expect(numbersOf(to.taken, id)).toEqual(SEVEN);
    expect(dead.received).toHaveLength(1);
  });

  test('after a day of attempts a delivery fails, the next one is sent, and redeliver sends it again', async () => {
    const to = await receiver();
    to.answer = () => 500;
    const { webhook } = await createWebhook(serin, { url: to.url, strategyId: 'given-up' });
    const id = (await create(serin, { strategyId: 'given-up', config: STILL })).deployment.id;
    await until(() => to.received.length === 1);
    await serin.database
      .sql`update webhook_deliveries set give_up_at = clock_timestamp(), next_attempt_at = clock_timestamp()
      where webhook_id = ${webhook.id}`;
    await until(async () => (await deliveriesOf(serin, webhook.id))[0]?.status === 'FAILED');
    const [failed] = await deliveriesOf(serin, webhook.id, { status: ['FAILED'] });
    expect(failed.attempts.at(-1)).toMatchObject({
      httpStatus: 500,
      error: 'The receiver returned HTTP 500',
      nextAttemptAt: null,
    });
    to.answer = () => 204;
    await command(serin, 'deployCanary', id, { capitalUsd: '5' });
    await until(() => to.taken.length === 2);
    const again = await redeliver(serin, { deliveryId: failed.id });
    expect(again).toMatchObject({ success: true, scheduled: 1, webhook: { id: webhook.id } });
    await until(() => to.taken.length === 3);
    expect(to.taken.map(({ headers }) => headers['webhook-id'])).toEqual([`${id}:2`, `${id}:3`, `${id}:1`]);
    await until(async () =>
      (await deliveriesOf(serin, webhook.id)).every(({ status }) => status === 'DELIVERED'),
    );
    expect(await redeliver(serin, { webhookId: webhook.id })).toMatchObject({ success: true, scheduled: 0 });
  });

  test('a receiver that answers 410 is disabled; enabled again it continues where it stopped', async () => {
    const to = await receiver();
    to.answer = () => 410;
    const { webhook } = await createWebhook(serin, { url: to.url, strategyId: 'gone' });
    const id = await pausedTwice('gone');
    const status = async () => {
      const { webhooks } = await serin.ask('{ webhooks(last: 1) { nodes { id status disabledReason } } }');
      return webhooks.nodes[0];
    };
    await until(async () => (await status()).status === 'DISABLED');
    expect(await status()).toMatchObject({ id: webhook.id, disabledReason: expect.stringContaining('410') });
    await command(serin, 'rollbackCanary', id);
    expect(to.received).toHaveLength(1);
    to.answer = () => 200;
    await updateWebhook(serin, { webhookId: webhook.id, enabled: true });
    await until(async () => {
      await hurry(serin, webhook.id);
      return to.taken.length >= 10;
    });
    expect(numbersOf(to.taken, id)).toEqual([...SEVEN, 8, 9, 10]);
  });

  test('410 of an address that was replaced meanwhile does not disable the webhook', async () => {
    const [before, to] = [await receiver(), await receiver()];
    let moved = false;
    before.answer = () => until(() => moved).then(() => 410);
    const { webhook } = await createWebhook(serin, { url: before.url, strategyId: 'gone-before' });
    const id = await pausedTwice('gone-before');
    await until(() => before.received.length === 1);
    await updateWebhook(serin, { webhookId: webhook.id, url: to.url });
    moved = true;
    await until(async () => {
      const [first] = (await deliveriesOf(serin, webhook.id)).toReversed();
      return first?.attempts.some(({ httpStatus }: Data) => httpStatus === 410);
    });
    await until(async () => {
      await hurry(serin, webhook.id);
      return to.taken.length >= 7;
    });
    expect(numbersOf(to.taken, id)).toEqual(SEVEN);
  });

  describe('what waits is sent at once and has a new day of retries', () => {
    const waits = async (strategyId: string) => {
      const to = await receiver();
      to.answer = () => 500;
      const { webhook } = await createWebhook(serin, { url: to.url, strategyId });
      await pausedTwice(strategyId);
      await until(async () => (await deliveriesOf(serin, webhook.id)).at(-1)?.attemptCount === 1);
      return { to, webhookId: webhook.id };
    };
    const aDayPasses = (webhookId: string) => serin.database.sql`
      update webhook_deliveries set give_up_at = clock_timestamp() - interval '1 hour',
        next_attempt_at = clock_timestamp() + interval '4 hours' where webhook_id = ${webhookId}`;
    /** Not ready yet when the first one comes. */
    const answersAfterOne = (to: Receiver) => {
      const already = to.received.length;
      to.answer = () => (to.received.length > already + 1 ? 200 : 503);
    };
    const allArrive = async (to: Receiver, webhookId: string) => {
      await until(async () => {
        const deliveries = await deliveriesOf(serin, webhookId);
        return deliveries.length >= 7 && deliveries.every(({ status }) => status !== 'PENDING');
      });
      expect(to.taken.map(({ body }) => body.data.no)).toEqual(SEVEN);
    };

    test('when the webhook is enabled', async () => {
      const { to, webhookId } = await waits('comes-back');
      await updateWebhook(serin, { webhookId, enabled: false });
      await aDayPasses(webhookId);
      answersAfterOne(to);
      await updateWebhook(serin, { webhookId, enabled: true });
      await allArrive(to, webhookId);
    });

    test('when it has another address', async () => {
      const { webhookId } = await waits('moves');
      await aDayPasses(webhookId);
      const to = await receiver();
      answersAfterOne(to);
      await updateWebhook(serin, { webhookId, url: to.url });
      await allArrive(to, webhookId);
    });
  });

  test('a clock that is set back delays no delivery, neither a new one nor one that is tried again', async () => {
    const to = await receiver();
    to.answer = () => 500;
    const { webhook } = await createWebhook(serin, { url: to.url, strategyId: 'set-back' });
    await pausedTwice('set-back');
    await until(async () => (await deliveriesOf(serin, webhook.id)).at(-1)?.attemptCount === 1);
    // As if all of it had happened an hour later.
    await serin.database
      .sql`update webhook_deliveries set next_attempt_at = next_attempt_at + interval '1 hour',
      give_up_at = give_up_at + interval '1 hour' where webhook_id = ${webhook.id}`;
    to.answer = () => 200;
    await serin.advance(-3600);
    await until(() => to.taken.length >= 7);
    expect(to.taken.map(({ body }) => body.data.no)).toEqual(SEVEN);
  });

  test('a redirect is not followed', async () => {
    const inside = await receiver();
    const to = await receiver();
    to.answer = () => ({ status: 307, headers: { location: inside.url } });
    const { webhook } = await createWebhook(serin, { url: to.url, strategyId: 'moved' });
    await create(serin, { strategyId: 'moved' });
    await until(async () => (await deliveriesOf(serin, webhook.id))[0]?.attemptCount === 1);
    const [delivery] = await deliveriesOf(serin, webhook.id);
    expect(delivery.attempts[0]).toMatchObject({
      httpStatus: 307,
      error: expect.stringContaining('not followed'),
    });
    expect(inside.received).toHaveLength(0);
  });
});

test('while a secret is rotated both sign; then only the new one', async () => {
  const to = await receiver();
  const { secret: old, webhook } = await createWebhook(serin, { url: to.url, strategyId: 'rotated' });
  const rotated = await updateWebhook(serin, { webhookId: webhook.id, rotateSecret: true });
  expect(rotated.secret).not.toBe(old);
  const id = await start({ strategyId: 'rotated' });
  await until(() => to.taken.length >= 3);
  for (const { headers, text } of to.taken) {
    new Webhook(old).verify(text, headers);
    new Webhook(rotated.secret).verify(text, headers);
  }
  await serin.database
    .sql`update webhooks set previous_secret_until = clock_timestamp() where id = ${webhook.id}`;
  await command(serin, 'pauseDeployment', id);
  await until(() => to.taken.length >= 4);
  const last = to.taken[3];
  if (!last) throw new Error('nothing came');
  new Webhook(rotated.secret).verify(last.text, last.headers);
  expect(() => new Webhook(old).verify(last.text, last.headers)).toThrow();
});

test('every rotated secret signs for as long as its rotation promised', async () => {
  const to = await receiver();
  const { secret: first, webhook } = await createWebhook(serin, { url: to.url, strategyId: 'rotated-often' });
  const secrets = [first];
  for (let rotation = 0; rotation < 3; rotation += 1) {
    secrets.push((await updateWebhook(serin, { webhookId: webhook.id, rotateSecret: true })).secret);
  }
  await start({ strategyId: 'rotated-often' });
  await until(() => to.taken.length >= 1);
  for (const { headers, text } of to.taken) {
    for (const secret of secrets) new Webhook(secret).verify(text, headers);
    // The current one comes first: receivers may look at one signature only.
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(4);
  }
  for (let rotation = 4; rotation < 10; rotation += 1) {
    await updateWebhook(serin, { webhookId: webhook.id, rotateSecret: true });
  }
  const tooMany = await updateWebhook(serin, { webhookId: webhook.id, rotateSecret: true });
  expect(tooMany).toMatchObject({ success: false, error: { code: 'LIMIT_REACHED', path: ['rotateSecret'] } });
});

test('the status line decides: a 2xx whose body stalls is delivered', async () => {
  const to = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-length': '10' }).write('ok');
  });
  await new Promise<void>((done) => to.listen(0, '127.0.0.1', done));
  const address = to.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const { webhook } = await createWebhook(serin, { url: `http://127.0.0.1:${port}/`, strategyId: 'stalls' });
  await start({ strategyId: 'stalls' });
  const delivered = async () =>
    (await deliveriesOf(serin, webhook.id, { status: ['DELIVERED'] })).length >= 3;
  await until(delivered, 6000);
  const [{ attempts }] = await deliveriesOf(serin, webhook.id);
  expect(attempts).toMatchObject([{ number: 1, httpStatus: 200, error: null }]);
  to.closeAllConnections();
  to.close();
});

test.each([
  ['seconds', () => '600'],
  ['an HTTP date', () => new Date(Date.now() + 600_000).toUTCString()],
  ['a date in the past', () => new Date(0).toUTCString()],
  ['neither', () => 'soon'],
])('Retry-After may be %s', async (form, value) => {
  const to = await receiver();
  to.answer = () => ({ status: 503, headers: { 'retry-after': value() } });
  const strategyId = `retry-${form.replaceAll(' ', '-')}`;
  const { webhook } = await createWebhook(serin, { url: to.url, strategyId });
  await start({ strategyId });
  await until(async () =>
    (await deliveriesOf(serin, webhook.id)).some(({ attemptCount }) => attemptCount > 0),
  );
  const deliveries = await deliveriesOf(serin, webhook.id);
  const tried = deliveries.find(({ attemptCount }) => attemptCount > 0);
  const wait = (Date.parse(tried.nextAttemptAt) - Date.now()) / 1000;
  if (form === 'seconds' || form === 'an HTTP date') expect(wait).toBeGreaterThan(580);
  else expect(wait).toBeLessThan(10);
});

test('a node that dies in the middle of a try: another sends it, and nothing is lost', async () => {
  const to = await receiver();
  to.answer = () => null;
  const { webhook } = await createWebhook(serin, { url: to.url, strategyId: 'taken-over' });
  const id = await pausedTwice('taken-over');
  await until(() => to.received.length === 1);
  // What a killed node leaves behind: a claim that nobody gives back, and a try that nobody records.
  await serin.database.sql`update webhook_deliveries set lease_until = clock_timestamp(), lease_token = 'dead'
    where webhook_id = ${webhook.id} and lease_token is not null`;
  to.answer = () => 200;
  await until(() => to.taken.length >= 7);
  expect(numbersOf(to.taken, id)).toEqual(SEVEN);
});

test('events committed while no node runs are delivered after the start', async () => {
  const to = await receiver();
  await createWebhook(serin, { url: to.url, strategyId: 'restarted' });
  const id = await pausedTwice('restarted');
  await serin.restart();
  await command(serin, 'rollbackCanary', id);
  await until(() => numbersOf(to.taken, id).length >= 10);
  expect([...new Set(numbersOf(to.taken, id))]).toEqual([...SEVEN, 8, 9, 10]);
});

test('two nodes share the work: every event once, in order', async () => {
  const second = await startSerin({
    ...readEnvironment({}),
    port: 0,
    databaseUrl: serin.database.url,
    logLevel: 'silent',
    webhookNetworks: ['127.0.0.0/8'],
  });
  try {
    const to = await receiver();
    await createWebhook(serin, {
      url: to.url,
      eventTypes: ['DEPLOYMENT_CREATED', 'CANARY_STARTED', 'CANARY_PAUSED'],
    });
    const ids = await Promise.all(
      Array.from({ length: 25 }, async () => {
        const id = await start();
        await command(serin, 'pauseDeployment', id);
        return id;
      }),
    );
    await until(() => to.taken.length >= 75);
    for (const id of ids) expect(numbersOf(to.taken, id)).toEqual([1, 2, 4]);
    expect(to.received).toHaveLength(75);
  } finally {
    await second.stop();
  }
});

test('a webhook that was disabled when history was rewound is told so when it comes back', async () => {
  const to = await receiver();
  const { webhook } = await createWebhook(serin, { url: to.url, strategyId: 'rewound' });
  const id = await start({ strategyId: 'rewound' });
  await until(() => to.taken.length === 3);
  await updateWebhook(serin, { webhookId: webhook.id, enabled: false });
  const { errors } = await serin.post('{ events(after: "7.0123abcd-1-1") { nodes { no } } }');
  expect(errors?.[0]?.extensions.code).toBe('HISTORY_REWOUND');
  await command(serin, 'pauseDeployment', id);
  await updateWebhook(serin, { webhookId: webhook.id, enabled: true });
  await until(() => to.taken.length === 5);
  const later = to.taken.slice(3).map(({ body }) => body);
  expect(later).toMatchObject([{ type: 'HISTORY_REWOUND' }, { type: 'CANARY_PAUSED' }]);
});
