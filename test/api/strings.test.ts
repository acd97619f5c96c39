/** Strings at their limits, in every argument and input field of the schema; numbers and dates as programs send them. */

import { readFileSync } from 'node:fs';
import {
  buildSchema,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLInputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { liftAll } from '../harness/freeze.ts';
import { openInitialised } from '../harness/rawSocket.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));

/** A valid-looking value of a type, with `text` wherever `target` is. */
function exampleOf(
  type: GraphQLInputType,
  target: GraphQLArgument | GraphQLInputField,
  text: string,
  depth = 0,
): unknown {
  if (isNonNullType(type)) return exampleOf(type.ofType, target, text, depth);
  if (isListType(type)) return [exampleOf(type.ofType, target, text, depth)];
  if (isEnumType(type)) return type.getValues()[0]?.name;
  if (!isInputObjectType(type)) {
    return (
      { Int: 1, Float: 1, Boolean: true, Decimal: '1', DateTime: '2026-01-01T00:00:00Z', JSON: {} }[
        type.name
      ] ?? 'x'
    );
  }
  const fields = Object.values(type.getFields()).filter(
    (field) => isNonNullType(field.type) || leadsTo(field, target),
  );
  return Object.fromEntries(
    fields.map((field) => [
      field.name,
      field === target
        ? isListType(bare(field.type))
          ? [text]
          : text
        : exampleOf(field.type, target, text, depth + 1),
    ]),
  );
}

const bare = (type: GraphQLInputType): GraphQLInputType => (isNonNullType(type) ? type.ofType : type);

function leadsTo(
  from: GraphQLArgument | GraphQLInputField,
  target: unknown,
  seen = new Set<unknown>(),
): boolean {
  if (from === target) return true;
  const type = getNamedType(from.type);
  if (!isInputObjectType(type) || seen.has(type)) return false;
  seen.add(type);
  return Object.values(type.getFields()).some((field) => leadsTo(field, target, seen));
}

/** Every string of every root field: its name, and a document with the variable that holds it. */
function strings(): { name: string; query: string; variables: (text: string) => Record<string, unknown> }[] {
  const found = [];
  for (const root of [schema.getQueryType(), schema.getMutationType()]) {
    for (const field of Object.values(root?.getFields() ?? {})) {
      for (const argument of field.args) {
        for (const target of stringsIn(argument)) {
          const declared = field.args.map(({ name, type }) => `$${name}: ${type}`).join(', ');
          const passed = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
          const type = root === schema.getMutationType() ? 'mutation' : 'query';
          found.push({
            name: `${field.name} ${argument === target ? '' : `${argument.name} `}${target.name}`,
            query: `${type}(${declared}) { ${field.name}(${passed})${isLeafType(getNamedType(field.type)) ? '' : ' { __typename }'} }`,
            variables: (text: string) =>
              Object.fromEntries(
                field.args
                  .filter((each) => each === argument || isNonNullType(each.type))
                  .map((each) => [
                    each.name,
                    each === target
                      ? isListType(bare(each.type))
                        ? [text]
                        : text
                      : exampleOf(each.type, target, text),
                  ]),
              ),
          });
        }
      }
    }
  }
  return found;
}

function stringsIn(
  from: GraphQLArgument | GraphQLInputField,
  seen = new Set<unknown>(),
): (GraphQLArgument | GraphQLInputField)[] {
  const type = getNamedType(from.type);
  if (type.name === 'String' || type.name === 'ID') return [from];
  if (!isInputObjectType(type) || seen.has(type)) return [];
  seen.add(type);
  return Object.values(type.getFields()).flatMap((field) => stringsIn(field, seen));
}

const codes = (answer: Data) => (answer.errors ?? []).map((error: Data) => error.extensions.code);

test('no string of any length is an internal error: one too long is refused', {
  timeout: 180_000,
}, async () => {
  const all = strings();
  expect(all.length).toBeGreaterThan(80);
  for (const { name, query, variables } of all) {
    for (const text of ['', 'x'.repeat(3000), '\u{1F600}'.repeat(700), 'x'.repeat(100_000)]) {
      let answer: Data;
      // The thread of simulations starts with the first question: a busy machine does not answer that one in time.
      await until(async () => {
        answer = await serin.post(query, variables(text));
        return !codes(answer).includes('UNAVAILABLE');
      });
      expect({
        name,
        codes: codes(answer).filter((code: string) => code !== 'BAD_USER_INPUT' && code !== 'TOO_COMPLEX'),
      }).toEqual({
        name,
        codes: [],
      });
    }
  }
  await liftAll(serin);
});

describe('the empty string', () => {
  test('is not an idempotency key, and not a provider', async () => {
    const id = await running(serin, { config: { metricsProvider: '' } });
    const input = { idempotencyKey: '' };
    expect((await command(serin, 'pauseDeployment', id, input)).success).toBe(true);
    expect((await command(serin, 'resumeDeployment', id, input)).success).toBe(true);
    expect(await command(serin, 'pauseDeployment', id, input)).toMatchObject({
      success: true,
      replayed: false,
    });
  });

  test.each([
    ['query { deployments(filter: { strategyId: "" }) { nodes { id } } }', 'filter.strategyId'],
    ['query { strategies(after: "") { nodes { id } } }', 'after'],
    ['mutation { pauseDeployment(input: { deploymentId: "" }) { success } }', 'input.deploymentId'],
  ])('%s is refused with the path of the field', async (query, path) => {
    const [error] = (await serin.post(query)).errors ?? [];
    expect(error?.message).toContain(`${path} must have 1 to`);
    expect(error?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: path.split('.') });
  });

  test('as a reason is no reason', async () => {
    const id = await running(serin);
    await command(serin, 'pauseDeployment', id, { reason: '' });
    const { deployment } = await serin.ask(
      'query($id: ID!) { deployment(id: $id) { events(first: 100) { edges { node { type details } } } } }',
      { id },
    );
    const paused = deployment.events.edges.find(({ node }: Data) => node.type.includes('PAUSED'));
    expect(paused.node.details.reason ?? null).toBeNull();
  });
});

test('a key of 3,000 characters is refused with its path, and one of 255 is kept', async () => {
  const id = await running(serin);
  const long = await command(serin, 'pauseDeployment', id, { idempotencyKey: '\u{1F600}'.repeat(1500) });
  expect(long).toMatchObject({ success: false, error: { code: 'INVALID_INPUT', path: ['idempotencyKey'] } });
  const key = `${'\u{FFFD}'.repeat(255)}`;
  expect((await command(serin, 'pauseDeployment', id, { idempotencyKey: key })).success).toBe(true);
  expect((await command(serin, 'pauseDeployment', id, { idempotencyKey: key })).replayed).toBe(true);
});

describe('numbers as programs print doubles', () => {
  const REPORT =
    'mutation($i: UpdateMetricsInput!) { updateCanaryMetrics(input: $i) { success error { message } deployment { canaryMetrics { metrics { sharpeRatio } } } } }';
  const sharpeOf = async (id: string, number: string): Promise<unknown> => {
    const body = `{"query":${JSON.stringify(REPORT)},"variables":{"i":{"deploymentId":${JSON.stringify(id)},"sharpeRatio":${number}}}}`;
    const headers = { 'content-type': 'application/json' };
    const answer: Data = await (
      await fetch(`${serin.url}/graphql`, { method: 'POST', headers, body })
    ).json();
    return (
      answer.data?.updateCanaryMetrics.deployment.canaryMetrics.metrics.sharpeRatio ??
      answer.errors[0].message
    );
  };

  test.each([
    ['0.6666666666666666', '0.6666666666666666'],
    ['0.66666666666666667', '0.66666666666666667'],
    ['0.30000000000000004', '0.30000000000000004'],
    ['0.0012345679012345679', '0.001234567901234568'],
    ['1.5e-7', '0.00000015'],
  ])('%s is taken', async (number, taken) => {
    expect(await sharpeOf(await running(serin), number)).toBe(taken);
  });

  test('more digits than can be stored, and than a double has, are refused', async () => {
    const id = await running(serin);
    expect(await sharpeOf(id, '0.0012345679012345679012345')).toContain('more than 18 decimals');
    const asText = await serin.post(REPORT, {
      i: { deploymentId: id, sharpeRatio: '0.0012345679012345679' },
    });
    expect(asText.errors?.[0]?.message).toContain('more than 18 decimals');
  });

  test('over WebSocket too', async () => {
    const id = await running(serin);
    const socket = await openInitialised(serin);
    const variables = { i: { deploymentId: id, sharpeRatio: 2 / 3 } };
    socket.send({ id: '1', type: 'subscribe', payload: { query: REPORT, variables } });
    expect((await socket.next()).payload.data.updateCanaryMetrics.success).toBe(true);
    socket.close();
  });
});

test.each([
  '2026-02-30T00:00:00Z',
  '2026-02-29T00:00:00Z',
  '2026-04-31T12:00:00+02:00',
  '2026-11-28T24:00:00Z',
  '2026-11-28T12:60:00Z',
  '2026-11-28T12:00:00+24:00',
  '2026-13-01T00:00:00Z',
])('%s is no date and time', async (at) => {
  const query =
    'query($at: DateTime!) { deployments(first: 0, filter: { startedFrom: $at }) { nodes { id } } }';
  expect(codes(await serin.post(query, { at }))).toEqual(['BAD_USER_INPUT']);
  expect(
    codes(await serin.post(query.replace('($at: DateTime!)', '').replace('$at', JSON.stringify(at)))),
  ).toEqual(['BAD_USER_INPUT']);
});

test('the 29th of February of a leap year is a date', async () => {
  const query =
    '{ deployments(first: 0, filter: { startedFrom: "2024-02-29t23:59:59.999z" }) { nodes { id } } }';
  expect((await serin.post(query)).errors).toBeUndefined();
});

test.each([
  'subscription($x: Boolean!) { eventAppended @include(if: $x) { no } }',
  'subscription($x: Boolean!) { ... @skip(if: $x) { eventAppended { no } } }',
  'subscription($x: Boolean!) { ...F } fragment F on Subscription { eventAppended @skip(if: $x) { no } }',
  'subscription { eventAppended @include { no } }',
  'subscription { eventAppended @include(if: "yes") { no } }',
  'query($x: Boolean!) { viewer @include(if: 1) { actor } }',
  'query { __typename ...A } fragment A on Query { ...A }',
  '{ viewer { actor @include(if: $unknown) } }',
])('%s is the error of its operation, and the socket stays open', async (query) => {
  const socket = await openInitialised(serin);
  socket.send({ id: 'feed', type: 'subscribe', payload: { query: 'subscription { eventAppended { no } }' } });
  socket.send({ id: 'odd', type: 'subscribe', payload: { query, variables: { x: true } } });
  const answer = await socket.next();
  expect(answer).toMatchObject({ id: 'odd', type: 'error' });
  expect(codes({ errors: answer.payload })).not.toContain('INTERNAL_SERVER_ERROR');
  expect(socket.closed()).toBeNull();
  socket.close();
});
