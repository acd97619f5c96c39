/** `schema.graphql` is the schema, and every name in it is explained. */
import { readdirSync, readFileSync } from 'node:fs';
import {
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isUnionType,
  NoDeprecatedCustomRule,
  parse,
  validate,
} from 'graphql';
import { expect, test } from 'vitest';
import { EVENT_TYPES } from '../src/core/lifecycle/events.ts';
import { printedSchema, schema } from '../src/graphql/schema.ts';

test('schema.graphql is what the code says (npm run schema writes it anew)', () => {
  expect(readFileSync('schema.graphql', 'utf8')).toBe(printedSchema());
});

test('every type, field, argument and enum has a description', () => {
  const bare: string[] = [];
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__') || ['String', 'Int', 'Float', 'Boolean', 'ID'].includes(type.name))
      continue;
    if (!type.description) bare.push(type.name);
    if (isEnumType(type)) continue;
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (!field.description) bare.push(`${type.name}.${field.name}`);
      for (const arg of 'args' in field ? field.args : []) {
        if (!arg.description) bare.push(`${type.name}.${field.name}(${arg.name})`);
      }
    }
  }
  expect(bare).toEqual([]);
});

test('every event type has its member in the payload, and a field name means one type in all of them', () => {
  const payload = schema.getType('CanaryEventPayload');
  if (!isUnionType(payload)) throw new Error('CanaryEventPayload is not a union');
  const members = payload.getTypes();
  const nameOf = (type: string) =>
    type.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, first) => first.toUpperCase());
  expect(members.map(({ name }) => name).sort()).toEqual(
    EVENT_TYPES.filter((type) => type !== 'UNKNOWN')
      .map(nameOf)
      .sort(),
  );
  const types = new Map<string, Set<string>>();
  for (const field of members.flatMap((member) => Object.values(member.getFields()))) {
    types.set(field.name, (types.get(field.name) ?? new Set()).add(String(field.type)));
  }
  expect([...types].filter(([, found]) => found.size > 1)).toEqual([]);
});

test('the documents in docs ask for nothing that is deprecated', () => {
  for (const file of readdirSync('docs').filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(`docs/${file}`, 'utf8');
    for (const [, document = ''] of text.matchAll(/^```graphql\n(.*?)^```/gms)) {
      const problems = validate(schema, parse(document), [NoDeprecatedCustomRule]);
      expect(
        problems.map(({ message }) => message),
        file,
      ).toEqual([]);
    }
  }
});
