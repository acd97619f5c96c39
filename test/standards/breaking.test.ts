/**
 * Names in the schema are promises: what a client of the last release asks for must still be there. A release takes the
 * schema over with `npm run schema -- --released`; in between, `released.graphql` is never touched.
 */
import { readFileSync } from 'node:fs';
import { buildSchema, findBreakingChanges } from 'graphql';
import { expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';

const released = buildSchema(readFileSync('test/standards/released.graphql', 'utf8'));

test('nothing that the last release promised is broken', () => {
  expect(findBreakingChanges(released, schema).map(({ description }) => description)).toEqual([]);
});

test('the check sees a field that is taken away, and an argument that becomes required', () => {
  const before = buildSchema('type Query { a(b: Int): Int c: Int }');
  const after = buildSchema('type Query { a(b: Int!): Int }');
  expect(findBreakingChanges(before, after).map(({ type }) => type)).toEqual([
    'FIELD_REMOVED',
    'ARG_CHANGED_KIND',
  ]);
});
