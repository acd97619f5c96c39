/** What is compiled, and when. That compiled queries answer the same is shown by `test/fuzz/compiled.test.ts`. */
import { setImmediate } from 'node:timers/promises';
import { buildSchema, type ExecutionResult, parse } from 'graphql';
import { expect, test, vi } from 'vitest';
import { COMPILED_AFTER, createExecutor } from '../../src/server/pipeline/executor.ts';
import type { Operation } from '../../src/server/pipeline/operation.ts';

const schema = buildSchema(`
  enum Side { CANARY STABLE }
  input Range { from: Int, to: Int = 5 }
  interface Named { name: String }
  interface Other { name: String }
  type Person implements Named & Other { name: String, called(by: String): String }
  type Query { a(from: Int, side: Side, text: String, range: Range, ids: [ID!]): Int, list: [Query!], named: Named }
  type Mutation { a: Int }`);

const operationOf = (text: string, rest: object = {}) =>
  ({ schema, document: parse(text), contextValue: {}, rootValue: { a: 1 }, ...rest }) as unknown as Operation;

const LEAVES = Array.from({ length: 10 }, (_, nth) => `a${nth}: a`).join(' ');
/** A marker of graphql-jit for dates: what follows it would be written into the program as it is. */
const CODE = "__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74dglobalThis.wasRun = 'yes'";

/** Graphql makes the data of an answer without a prototype, a compiled query with one. */
const isCompiled = ({ data }: ExecutionResult) => Object.getPrototypeOf(data ?? {}) !== null;

/** Another query, for which the compiler is loaded: however long that takes, the next ones are compiled in time. */
const FIRST = operationOf('{ first: a }');
const WAIT = { timeout: 60_000, interval: 1 };

/** Asks until it should be compiled. Returns whether it is. */
async function askOften(
  operation: Operation,
  execute = createExecutor(),
  times = COMPILED_AFTER,
): Promise<boolean> {
  await vi.waitFor(async () => expect(isCompiled(await execute(FIRST))).toBe(true), WAIT);
  for (let nth = 0; nth < times; nth += 1) expect(isCompiled(await execute(operation))).toBe(false);
  // It is compiled after the answer.
  await setImmediate();
  return isCompiled(await execute(operation));
}

test('a query that is asked often is compiled', async () => {
  expect(
    await askOften(operationOf('query Q($from: Int) { a(from: $from) }', { variableValues: { from: 1 } })),
  ).toBe(true);
});

test('an expensive one is compiled when it was asked once', async () => {
  const expensive = operationOf('{ list { list { list { a } } } }');
  expect(await askOften(expensive, createExecutor(), 1)).toBe(true);
});

test.each([
  ['a mutation', 'mutation { a }'],
  ['a query with a directive', '{ a @skip(if: false) }'],
  ['introspection', '{ a __schema { queryType { name } } }'],
  ['a large document', `{ ${Array.from({ length: 300 }, (_, nth) => `a${nth}: a`).join(' ')} }`],
  [
    'one that is large by its fragments',
    `{ ${'list { ...F } '.repeat(30)} } fragment F on Query { ${LEAVES} }`,
  ],
  ['a literal text', '{ a(text: "x") }'],
  ['a literal text that the compiler takes for code', `{ a(text: "${CODE}") }`],
  ['a literal object', 'query($from: Int) { a(range: { from: $from }) }'],
  ['a literal list', '{ a(ids: [1]) }'],
  ['a variable with a default', 'query($from: Int = 1) { a(from: $from) }'],
  ['a directive on a fragment', '{ ...F @include(if: true) } fragment F on Query { a }'],
  ['a fragment on an interface within another', '{ named { ... on Other { name } } }'],
  ['a literal text in an object of an interface', '{ named { ... on Person { called(by: "x") } } }'],
  ['the alias __proto__', '{ __proto__: a }'],
  ['the variable __proto__', 'query($__proto__: Int) { a(from: $__proto__) }'],
])('%s is not', async (_, text) => {
  expect(await askOften(operationOf(text))).toBe(false);
  expect(globalThis).not.toHaveProperty('wasRun');
});

test.each([
  ['numbers, booleans and enum values', '{ a(from: 1, side: STABLE) }'],
  ['fragments on the type', '{ ...F ... on Query { list { __typename ...F } } } fragment F on Query { a }'],
  ['fields of an interface', '{ named { name ... on Person { called } } }'],
  ['other names of every object', '{ constructor: a toString: a data: a }'],
])('%s are', async (_, text) => {
  expect(await askOften(operationOf(text))).toBe(true);
});

test('an error is answered by graphql, with its place', async () => {
  const execute = createExecutor();
  let fails = false;
  const failing = buildSchema('type Query { a: Int }');
  Object.assign(failing.getQueryType()?.getFields().a ?? {}, {
    resolve() {
      if (fails) throw new Error('it failed');
      return 1;
    },
  });
  const operation = operationOf('{ a }', { schema: failing });
  expect(await askOften(operation, execute)).toBe(true);
  fails = true;
  expect(JSON.parse(JSON.stringify(await execute(operation)))).toEqual({
    errors: [{ message: 'it failed', locations: [{ line: 1, column: 3 }], path: ['a'] }],
    data: { a: null },
  });
  fails = false;
  // It is not compiled again soon: an error of a compiled query is executed twice.
  expect(await askOften(operation, execute)).toBe(false);
});

test('variables that cannot be read are refused by graphql', async () => {
  const execute = createExecutor();
  const text = 'query Q($from: Int) { a(from: $from) }';
  const document = parse(text);
  const operation = (from: unknown) => operationOf(text, { document, variableValues: { from } });
  expect(await askOften(operation(1), execute)).toBe(true);
  const { errors } = await execute(operation('one'));
  expect(errors?.[0]?.message).toBe(
    'Variable "$from" got invalid value "one"; Int cannot represent non-integer value: "one"',
  );
  expect(isCompiled(await execute(operation(2)))).toBe(true);
});
