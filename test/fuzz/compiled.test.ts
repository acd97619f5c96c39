/** A query that is asked again and again is compiled: its answer stays the same, to the letter. */
import { getOperationAST, parse } from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { fieldsToCompile } from '../../src/server/pipeline/compilable.ts';
import { COMPILED_AFTER } from '../../src/server/pipeline/executor.ts';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { untilSettled } from '../harness/settled.ts';
import { makeOperation, rootFields } from './operations.ts';
import { createRandom } from './random.ts';
import type { Known } from './values.ts';

/** Operations of each field of the root. */
const EACH = 6;
/** What differs from call to call also where nothing is compiled: the clock of the machine, and what is measured. */
const MOVING = new Set(['serverTime', 'health', 'simulatePolicy']);

let serin: TestSerin;
let known: Known;
beforeAll(async () => {
  serin = await startTestSerin();
  const config = { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 100_000 };
  const ids = [await running(serin, { config }), await running(serin, { config })];
  for (const id of ids) await report(serin, 'Canary', id, { pnlUsd: '12.5', trades: 9 });
  const over = await running(serin, { config });
  await command(serin, 'rollbackCanary', over);
  ids.push(over, (await create(serin, { config })).deployment.id, 'dep_nowhere');
  const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id: over });
  const { events } = await serin.ask('{ events(first: 5) { edges { cursor } } }');
  known = {
    ids,
    document: exportDeployment,
    cursors: events.edges.map(({ cursor }: { cursor: string }) => cursor),
  };
  // Time stands still: nothing changes by itself.
  await serin.database.sql`create or replace function serin_now() returns timestamptz language sql volatile as
    $$ select timestamptz '2100-01-01' $$`;
  // What is due by then is done, once.
  await until(async () => {
    const due = await serin.database.sql`
      select from deployments where least(next_check_at, deadline_at) <= serin_now() limit 1`;
    return due.length === 0;
  });
  await untilSettled(serin.database.sql);
});
afterAll(() => serin.stop());

/** Queries that were compiled: they may be, and their answer has no error. */
let compiled = 0;

function isCompiled(query: string, answer: string): boolean {
  if ('errors' in JSON.parse(answer)) return false;
  const document = parse(query);
  const operation = getOperationAST(document);
  return (
    operation !== null && operation !== undefined && fieldsToCompile(schema, document, operation) !== null
  );
}

async function answerTo(query: string, variables: Record<string, unknown>): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ query, variables });
  return (await fetch(`${serin.url}/graphql`, { method: 'POST', headers, body })).text();
}

const queries = rootFields(schema).filter(({ kind, field }) => kind === 'query' && !MOVING.has(field.name));

test.each(queries.map((root) => [root.field.name, root] as const))('%s', async (name, root) => {
  const random = createRandom([...name].reduce((seed, letter) => seed * 31 + letter.charCodeAt(0), 1));
  for (let nth = 0; nth < EACH; nth += 1) {
    const { query, variables } = makeOperation(root, schema, random, known);
    const first = await answerTo(query, variables);
    let last = first;
    for (let again = 0; again < COMPILED_AFTER + 5; again += 1) last = await answerTo(query, variables);
    expect(last, query).toBe(first);
    if (isCompiled(query, first)) compiled += 1;
  }
});

test('objects of an interface are compiled, each with what is asked of its type', async () => {
  const query = `query($ids: [ID!]!) { nodes(ids: $ids) { __typename id
    ... on CanaryDeployment { status series(points: 60) { points { at check difference } markers { type } } }
    ... on Strategy { createdAt } } }`;
  const first = await answerTo(query, { ids: known.ids });
  let last = first;
  for (let again = 0; again < COMPILED_AFTER + 5; again += 1)
    last = await answerTo(query, { ids: known.ids });
  expect(last).toBe(first);
  expect(isCompiled(query, first)).toBe(true);
  expect(JSON.parse(first).data.nodes).toContainEqual(
    expect.objectContaining({ __typename: 'CanaryDeployment', status: 'RUNNING' }),
  );
});

test.each([
  ['a literal', '{ nodes(ids: ["a"]) { id } }'],
  [
    'a literal in a fragment',
    '{ nodes(ids: $ids) { ... on Strategy { id } ... on CanaryDeployment { series(from: "2026-01-01T00:00:00Z") { points { at } } } } }',
  ],
  ['a fragment on another interface', '{ nodes(ids: $ids) { ... on MutationResult { message } } }'],
])('%s is left to graphql', (_what, query) => {
  const document = parse(`query($ids: [ID!]!) ${query}`);
  const operation = getOperationAST(document);
  expect(operation && fieldsToCompile(schema, document, operation)).toBeNull();
});

test('many of them were compiled', () => {
  expect(compiled).toBeGreaterThan(30);
});
