/**
 * Who may do what, by program: every operation of the schema with every argument, against callers of every kind, over
 * every transport. What is right comes from `access/permissions.ts`, so that a new operation is tested as soon as it is
 * there. `npm run test:access` tries all combinations; otherwise each operation and argument meets some of them in turn.
 */
import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../src/access/actor.ts';
import { ARGUMENT_PERMISSIONS, PERMISSIONS, ruleOf } from '../../src/access/permissions.ts';
import { command, running } from '../harness/deployment.ts';
import { OPERATIONS, type Operation } from '../harness/documents.ts';
import { liftAll } from '../harness/freeze.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { administrator, keyMadeHere, makeKey } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import { untilSettled } from '../harness/settled.ts';
import { deepReads, documentFor, isId, optionalPaths } from './matrix/documents.ts';
import { type Caller, callerOf, TRANSPORTS, type Transport } from './matrix/transports.ts';
import { absentIds, asAbsent, type Ids, makeWorld, stored } from './matrix/world.ts';

const whole = process.env.SERIN_ACCESS === 'whole';
const LONG = whole ? 3_600_000 : 120_000;

/** One of them, in turn. */
let turn = 0;
function next<T>(all: readonly T[]): readonly T[] {
  turn += 1;
  return all.slice(turn % all.length, (turn % all.length) + 1);
}
/** All combinations, or one of them in turn. */
const some = <T>(all: readonly T[]): readonly T[] => (whole ? all : next(all));

/** Does things at the same time, a few of them: the order of their answers does not matter. */
async function together<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const limit = pLimit(8);
  await Promise.all(all.map((each) => limit(() => work(each))));
}

let serin: TestSerin;
let issuer: TestIssuer;
let root: TestCaller;
let seen: Ids;
let hidden: Ids;
let absent: Ids;
/** Answers to all reads before there was anything hidden, by caller and document. */
const before = new Map<string, string>();

interface Rights {
  readonly role: Role;
  readonly strategies: readonly string[];
  readonly sides?: readonly ('CANARY' | 'STABLE')[];
  readonly by: 'key' | 'token';
}
const callers = new Map<string, Caller>();

/** A caller with these rights, made once. */
async function caller({ role, strategies, sides, by }: Rights): Promise<Caller> {
  const name = `${by} ${role} ${strategies} ${sides ?? 'both sides'}`;
  const made = callers.get(name);
  if (made) return made;
  const limits = { strategies: [...strategies], ...(sides ? { sides: [...sides] } : {}) };
  const credential =
    by === 'token'
      ? await issuer.sign({
          serin_role: role,
          serin_strategies: limits.strategies,
          ...(sides ? { serin_sides: limits.sides } : {}),
        })
      : await keyMadeHere(serin, {
          name: name.replaceAll(/[^\w-]/g, '-'),
          role,
          strategies: strategies.includes('*') ? null : strategies,
          sides: sides ?? null,
        });
  const fresh = callerOf(serin, name, `Bearer ${credential}`);
  callers.set(name, fresh);
  return fresh;
}

/** Within the strategies that begin with `seen-`. */
const limited = (role: Role, by: Rights['by'] = 'key') => caller({ role, strategies: ['seen-*'], by });

beforeAll(async () => {
  issuer = await startIssuer();
  serin = await startTestSerin({ access: issuer.access, timeScale: 1, webhookNetworks: ['127.0.0.0/8'] });
  root = await administrator(serin);
  for (const role of ROLES) for (const by of ['key', 'token'] as const) await limited(role, by);
  for (const role of ROLES) await caller({ role, strategies: ['*'], by: 'key' });
  for (const role of ROLES) await caller({ role, strategies: ['*'], sides: ['CANARY'], by: 'key' });
  seen = await makeWorld(root, 'seen');
  // Time stands still while answers are compared.
  await serin.database.sql.unsafe(`create or replace function serin_now() returns timestamptz language sql volatile
    as $$ select timestamptz '${new Date(Date.now() + 60_000).toISOString()}' $$`);
  await untilSettled(serin.database.sql);
  await readAll((key, answer) => before.set(key, answer));
  hidden = await makeWorld(root, 'hidden');
  absent = absentIds(hidden);
}, LONG);
afterAll(async () => {
  for (const { close } of callers.values()) close();
  await serin.stop();
  issuer.stop();
});

const queries = OPERATIONS.filter(({ kind }) => kind === 'query');
const mutations = OPERATIONS.filter(({ kind }) => kind === 'mutation');
const subscriptions = OPERATIONS.filter(({ kind }) => kind === 'subscription');
const named = (ids: Ids, kind: string, side: 'CANARY' | 'STABLE' = 'CANARY') => {
  const id = ids[kind] ?? '';
  return { id, side, document: { version: 2, deployment: { id, strategyId: ids.strategy } } };
};
const transportsOf = ({ kind }: Operation): readonly Transport[] =>
  kind === 'mutation' ? TRANSPORTS.filter((each) => each !== 'GET') : TRANSPORTS;
const least = ({ name }: Operation) => ROLES.indexOf(ruleOf(name).least);
const wasDone = (answer: string) => /"success":true/.test(answer);

test('every operation and every argument with a rule is in the schema, and every operation has a rule', () => {
  expect(Object.keys(PERMISSIONS).sort()).toEqual(OPERATIONS.map(({ name }) => name).sort());
  for (const path of Object.keys(ARGUMENT_PERMISSIONS)) {
    const [type, field, argument] = path.split('.');
    const operation = OPERATIONS.find(({ name }) => name === `${type}.${field}`);
    expect(operation && optionalPaths(operation), path).toContain(`input.${argument}`);
  }
});

describe('reads', () => {
  test('are the same whether there is something outside of the strategies or not', {
    timeout: LONG,
  }, async () => {
    const different: string[] = [];
    let compared = 0;
    await readAll((key, answer) => {
      compared += 1;
      if (answer !== before.get(key))
        different.push(`${key}\n${firstDifference(before.get(key) ?? '', answer)}`);
    });
    expect(compared).toBeGreaterThan(30);
    expect(different).toEqual([]);
  });

  test('of a caller who sees everything do have what is outside of the strategies', async () => {
    const all = await caller({ role: 'ADMIN', strategies: ['*'], by: 'key' });
    const blind: string[] = [];
    for (const operation of queries.filter(({ name }) => ruleOf(name).scope === 'LIST')) {
      const answers = await Promise.all(
        deepReads(operation, { ...named(hidden, 'deployment'), page: 100 }, 1).map((document) =>
          all.send('POST', document),
        ),
      );
      for (const answer of answers) expect(answer).not.toContain('"errors"');
      if (!answers.some((answer) => answer.includes('hidden'))) blind.push(operation.name);
    }
    // The webhooks are disabled.
    expect(blind).toEqual(['Query.webhookDeliveries']);
  });
});

/** When a key was last used is what this test changes itself. */
const LAST_USE = /"lastUsedAt":(null|"[^"]*")/g;

/** Where two answers differ first, and what is there in each. */
function firstDifference(one: string, other: string): string {
  const at = [...one].findIndex((letter, index) => letter !== other[index]);
  return [one, other].map((text) => text.slice(Math.max(0, at - 200), at + 200)).join('\n');
}

/** All reads of callers who see one world of three. */
async function readAll(onAnswer: (key: string, answer: string) => void): Promise<void> {
  for (const operation of queries) {
    const { scope, least: role } = ruleOf(operation.name);
    if (scope === 'NONE' && operation.name !== 'Query.viewer') continue;
    for (const kind of scope === 'TARGET' ? ['deployment', 'ended', 'strategy'] : ['deployment']) {
      const documents = deepReads(operation, named(seen, kind), whole ? 4 : 3);
      await together([...documents.entries()], async ([index, document]) => {
        for (const by of whole ? ROLES.slice(ROLES.indexOf(role)) : [role]) {
          const transport = TRANSPORTS[index % TRANSPORTS.length] ?? 'POST';
          const answer = (await (await limited(by)).send(transport, document)).replaceAll(LAST_USE, '');
          onAnswer(`${operation.name} ${kind} ${index} ${by} ${transport}: ${document.query}`, answer);
        }
      });
    }
  }
}

describe('callers without rights', () => {
  test('get one answer, whatever they ask, and it is a refusal', { timeout: LONG }, async () => {
    const expired = await makeKey(root, 'ADMIN', { name: 'expired', expiresAt: '2099-01-01T00:00:00Z' });
    await serin.database.sql`update api_keys set expires_at = clock_timestamp() where name = 'expired'`;
    const revoked = await makeKey(root, 'ADMIN', { name: 'revoked' });
    await root.ask('mutation { revokeApiKey(input: { id: "revoked" }) { success } }');
    const odd = await issuer.oddTokens();
    const outsiders: [string, string | null][] = [
      ['nobody', null],
      ['an empty header', ''],
      ['a name and a password', 'Basic cm9vdDpyb290'],
      ['two credentials', `Bearer ${expired}, Bearer ${revoked}`],
      ['a key that is not there', `Bearer serin_000000000000_${'A'.repeat(43)}`],
      ['a key with another secret', `Bearer ${expired.slice(0, -4)}AAAA`],
      ['an expired key', `Bearer ${expired}`],
      ['a revoked key', `Bearer ${revoked}`],
      ...Object.entries(odd).map(([what, token]): [string, string] => [`a token ${what}`, `Bearer ${token}`]),
    ];
    const content = await stored(serin.database.sql);
    await together([...outsiders.entries()], async ([place, [what, authorization]]) => {
      const outsider = callerOf(serin, what, authorization);
      const answers = new Map<Transport, Set<string>>();
      // They are refused before the operation is read: each tries some, and every operation is tried by some.
      const tried = OPERATIONS.filter((_operation, index) => whole || index % 6 === place % 6);
      await Promise.all(
        tried.flatMap((operation) =>
          some(TRANSPORTS.filter((each) => each !== 'WebSocket')).map(async (transport) => {
            const answer = await outsider.send(transport, documentFor(operation, named(seen, 'deployment')));
            answers.set(transport, (answers.get(transport) ?? new Set()).add(answer));
          }),
        ),
      );
      for (const [transport, different] of answers) {
        expect([...different], `${what} over ${transport}`).toHaveLength(1);
        expect([...different][0], `${what} over ${transport}`).toMatch(/^401 .*"UNAUTHENTICATED"/s);
      }
      const [operation] = some(OPERATIONS);
      if (!operation) return;
      const closed = await outsider.send('WebSocket', documentFor(operation, named(seen, 'deployment')));
      expect(JSON.parse(closed), what).toMatchObject({
        code: 4403,
        reason: expect.stringContaining('UNAUTHENTICATED'),
      });
      outsider.close();
    });
    expect(await stored(serin.database.sql)).toBe(content);
  });
});

describe('a role below the least one', () => {
  const guarded = mutations.concat(queries).filter((operation) => least(operation) > 0);

  test.each(guarded)('$name is refused and writes nothing', { timeout: LONG }, async (operation) => {
    const content = await stored(serin.database.sql);
    const paths = ['', ...optionalPaths(operation).filter((path) => whole || path.endsWith('Key'))];
    for (const role of ROLES.slice(0, least(operation))) {
      for (const rights of [
        { role, strategies: ['*'], by: 'key' } as const,
        { role, strategies: ['seen-*'], by: 'token' } as const,
        { role, strategies: ['*'], sides: ['CANARY'], by: 'key' } as const,
      ]) {
        const by = await caller(rights);
        await together(paths, async (also) => {
          for (const transport of some(transportsOf(operation))) {
            const answer = await by.send(transport, documentFor(operation, named(seen, 'deployment'), also));
            expect(answer, `${by.name} over ${transport}`).toContain('"FORBIDDEN"');
            expect(answer).toContain(`requires the role ${ruleOf(operation.name).least}`);
          }
        });
      }
    }
    expect(await stored(serin.database.sql)).toBe(content);
  });

  test.each(Object.keys(ARGUMENT_PERMISSIONS))('%s is refused and writes nothing', async (path) => {
    const [type, field, argument] = path.split('.');
    const operation = OPERATIONS.find(({ name }) => name === `${type}.${field}`);
    if (!operation) throw new Error(`there is no ${path}`);
    const content = await stored(serin.database.sql);
    for (const role of ROLES.slice(0, ROLES.indexOf(ruleOf(path).least))) {
      const by = await limited(role);
      for (const transport of transportsOf(operation)) {
        const document = documentFor(operation, named(seen, 'deployment'), `input.${argument}`);
        expect(await by.send(transport, document)).toContain('"FORBIDDEN"');
      }
    }
    expect(await stored(serin.database.sql)).toBe(content);
  });
});

const HEAVY_READS = new Set(['Query.exportDeployment', 'Query.replayPolicy']);

describe('what is outside of the strategies', () => {
  test.each(OPERATIONS)(
    '$name answers as if it were not there, and changes none of it',
    { timeout: LONG },
    async (operation) => {
      if (operation.kind === 'subscription' && ruleOf(operation.name).scope !== 'TARGET') return;
      const about = await stored(serin.database.sql, 'hidden');
      const kinds = Object.keys(hidden);
      // A simulation about nothing of a strategy is only long.
      const simulates = ruleOf(operation.name).scope === 'NONE' && operation.kind !== 'mutation';
      const paths = optionalPaths(operation).filter((path) =>
        simulates ? path === 'deploymentId' : whole || isId(operation, path),
      );
      const tried: [also: string, kind: string, by: Role, over: readonly Transport[]][] = [];
      for (const also of simulates ? paths : ['', ...paths]) {
        for (const kind of also === '' || whole ? kinds : some(kinds)) {
          const roles = also === '' ? ROLES : ROLES.slice(least(operation));
          // With an optional argument the transports take turns, in the whole form too: 200,000 requests else.
          for (const role of whole ? ROLES.filter((each) => roles.includes(each)) : some(roles))
            tried.push([
              also,
              kind,
              role,
              also === '' ? some(transportsOf(operation)) : next(transportsOf(operation)),
            ]);
        }
      }
      const attempt = async ([also, kind, role, over]: (typeof tried)[number]) => {
        const by = await limited(role, next(['key', 'token'] as const)[0]);
        for (const transport of over) {
          const answer = await by.send(transport, documentFor(operation, named(hidden, kind), also));
          const nowhere = await by.send(transport, documentFor(operation, named(absent, kind), also));
          const what = `${kind} ${also} as ${by.name} over ${transport}`;
          expect(wasDone(answer), what).toBe(wasDone(nowhere));
          if (!wasDone(answer)) expect(asAbsent(answer, hidden, absent), what).toBe(nowhere);
        }
      };
      // What a mutation may do, it does: the two of a pair must meet the same. Of heavy reads a caller has five at a time.
      if (operation.kind === 'mutation' || HEAVY_READS.has(operation.name))
        for (const each of tried) await attempt(each);
      else await together(tried, attempt);
      expect(await stored(serin.database.sql, 'hidden')).toBe(about);
    },
  );
});

describe.each(['SSE', 'WebSocket'] as const)('feeds over %s', (transport) => {
  test('deliver what is within the strategies, and nothing else', { timeout: LONG }, async () => {
    // The operations of the tests before were allowed to freeze something.
    await liftAll(root);
    const key = await makeKey(root, 'VIEWER', { strategies: ['seen-*'] });
    const lists = subscriptions.filter(({ name }) => ruleOf(name).scope === 'LIST');
    const open = lists.map((operation) => {
      const by = callerOf(serin, operation.name, `Bearer ${key}`);
      const state = { received: '' };
      const document = documentFor(operation, named(seen, 'deployment'));
      const onPart = (part: string) => {
        state.received += part;
      };
      by.send(transport, document, onPart).catch(() => {});
      return { operation, state, by };
    });
    await until(async () => {
      for (const strategyId of ['hidden-feed', 'seen-feed'])
        await command(root, 'rollbackCanary', await running(root, { strategyId }));
      return open.every(({ state }) => state.received.includes('"data"'));
    });
    for (const { operation, state, by } of open) {
      expect(state.received, operation.name).not.toContain('hidden');
      by.close();
    }
  });
});

describe('a side that the caller may not speak for', () => {
  const speaking = mutations.filter(
    (operation) =>
      operation.name === 'Mutation.updateStableMetrics' ||
      JSON.stringify(
        documentFor(operation, named({ deployment: 'dep_1', strategy: 's' }, 'deployment', 'STABLE'))
          .variables,
      ).includes('STABLE'),
  );

  test('the operations with a side are known', () => {
    expect(speaking.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'Mutation.acknowledgeAllocation',
        'Mutation.recordTrades',
        'Mutation.reportMetrics',
        'Mutation.updateStableMetrics',
      ]),
    );
  });

  test.each(speaking)('$name is refused and changes nothing', { timeout: LONG }, async (operation) => {
    const names = named(seen, 'deployment', 'STABLE');
    for (const role of ROLES.slice(least(operation))) {
      const by = await caller({ role, strategies: ['*'], sides: ['CANARY'], by: 'key' });
      const content = await stored(serin.database.sql, names.id);
      for (const also of ['', ...some(optionalPaths(operation))]) {
        for (const transport of transportsOf(operation)) {
          const answer = await by.send(transport, documentFor(operation, names, also));
          expect(wasDone(answer), answer).toBe(false);
          expect(answer).toMatch(/FORBIDDEN|INVALID_INPUT|BAD_USER_INPUT/);
        }
      }
      expect(await stored(serin.database.sql, names.id)).toBe(content);
    }
  });
});

describe('rights that are narrowed', () => {
  const withKeys = mutations.filter((operation) => optionalPaths(operation).includes('input.idempotencyKey'));

  test('a later key of the same person does not get what the earlier one was answered', {
    timeout: LONG,
  }, async () => {
    const person = 'ada@example.org';
    const wide = await keyMadeHere(serin, { name: 'ada-wide', role: 'ADMIN', person });
    const narrow = await keyMadeHere(serin, {
      name: 'ada-narrow',
      role: 'ADMIN',
      person,
      strategies: ['seen-*'],
    });
    const [first, later] = [
      callerOf(serin, 'wide', `Bearer ${wide}`),
      callerOf(serin, 'narrow', `Bearer ${narrow}`),
    ];
    const deployment = await running(root, { strategyId: 'hidden-kept' });
    for (const operation of withKeys) {
      const ids = { ...hidden, deployment };
      const nowhere = { ...absent, deployment: 'x'.repeat(deployment.length) };
      for (const kind of ['deployment', 'strategy']) {
        const ask = (by: Caller, whose: Ids, key: string) => {
          const names = { ...named(whose, kind), key };
          return by.send('POST', documentFor(operation, names, 'input.idempotencyKey'));
        };
        await ask(first, ids, `${operation.name} ${kind}`);
        const answer = await ask(later, ids, `${operation.name} ${kind}`);
        const other = await ask(later, nowhere, `${operation.name} ${kind} nowhere`);
        expect(wasDone(answer), `${operation.name} of a ${kind}: ${answer}`).toBe(wasDone(other));
        if (!wasDone(answer)) expect(asAbsent(answer, ids, nowhere), operation.name).toBe(other);
      }
    }
  });

  test.each(['SSE', 'WebSocket'] as const)(
    'streams over %s end, and deliver nothing afterwards',
    { timeout: LONG },
    async (transport) => {
      // The operations of the tests before were allowed to freeze something.
      await liftAll(root);
      const name = `open-${transport}`;
      const key = await makeKey(root, 'VIEWER', { name });
      // A simulation ends by itself.
      const endless = subscriptions.filter((operation) => ruleOf(operation.name).scope !== 'NONE');
      const open = endless.map((operation) => {
        const by = callerOf(serin, operation.name, `Bearer ${key}`);
        const state = { began: false, answer: '' };
        const document = documentFor(operation, named(seen, 'deployment'));
        const onPart = (part: string) => {
          state.began ||= part.includes('"data"');
        };
        void by.send(transport, document, onPart).then((answer) => {
          state.answer = answer;
        });
        return { operation, state, by };
      });
      await until(async () => {
        await command(root, 'rollbackCanary', await running(root));
        return open.every(({ state }) => state.began || state.answer !== '');
      });
      await root.ask('mutation($id: ID!) { revokeApiKey(input: { id: $id }) { success } }', { id: name });
      await until(() => open.every(({ state }) => state.answer !== ''));
      for (const { operation, state, by } of open) {
        expect(state.began, `${operation.name}: ${state.answer}`).toBe(true);
        expect(state.answer, operation.name).toContain('has been revoked');
        expect(state.answer, operation.name).toContain('UNAUTHENTICATED');
        by.close();
      }
    },
  );
});
