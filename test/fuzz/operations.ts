/** Operations made from the schema: every root field with arguments of every kind, selections a few levels deep. */
import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';
import type { Random } from './random.ts';
import { type Known, valueFor } from './values.ts';

export interface Operation {
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly field: string;
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

export interface RootField {
  readonly kind: Operation['kind'];
  readonly field: GraphQLField<unknown, unknown>;
}

export function rootFields(schema: GraphQLSchema): RootField[] {
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
    ['subscription', schema.getSubscriptionType()],
  ] as const;
  return roots.flatMap(([kind, type]) =>
    Object.values(type?.getFields() ?? {}).map((field) => ({ kind, field })),
  );
}

export function makeOperation(
  { kind, field }: RootField,
  schema: GraphQLSchema,
  random: Random,
  known: Known,
): Operation {
  const args = field.args.filter((arg) => random.chance(isRequiredArgument(arg) ? 0.98 : 0.5));
  const values = args.map((arg) => ({ arg, value: valueFor(arg.type, arg.name, random, known) }));
  const selection = selectionOf(field.type, schema, random, 0);
  if (random.chance(0.25)) {
    const given = values.map(({ arg, value }) => `${arg.name}: ${literal(value, arg.type)}`).join(' ');
    return {
      kind,
      field: field.name,
      query: `${kind} { ${field.name}${given && `(${given})`} ${selection} }`,
      variables: {},
    };
  }
  const declared = args.map((arg) => `$${arg.name}: ${arg.type}`).join(' ');
  const given = args.map((arg) => `${arg.name}: $${arg.name}`).join(' ');
  return {
    kind,
    field: field.name,
    query: `${kind} Fuzz${declared && `(${declared})`} { ${field.name}${given && `(${given})`} ${selection} }`,
    variables: Object.fromEntries(values.map(({ arg, value }) => [arg.name, value])),
  };
}

function selectionOf(type: GraphQLOutputType, schema: GraphQLSchema, random: Random, depth: number): string {
  const named = getNamedType(type);
  if (!isCompositeType(named)) return '';
  const fields = ['__typename'];
  const own = isAbstractType(named) && !('getFields' in named) ? [] : Object.values(named.getFields());
  for (const field of own) {
    const inner = getNamedType(field.type);
    // What says how it went is always asked for: the judge needs it.
    const telling = ['success', 'error', 'results', 'message'].includes(field.name) && depth < 2;
    if (!telling && !random.chance(isCompositeType(inner) ? 0.3 / (depth + 1) : 0.7)) continue;
    if (isCompositeType(inner) && depth > 4) continue;
    const needed = field.args.some(isRequiredArgument);
    if (needed) continue;
    const paged = field.args.some(({ name }) => name === 'first') ? '(first: 2)' : '';
    fields.push(`${field.name}${paged} ${selectionOf(field.type, schema, random, depth + 1)}`);
  }
  if (isAbstractType(named)) {
    for (const possible of schema.getPossibleTypes(named)) {
      fields.push(`... on ${possible.name} ${selectionOf(possible, schema, random, depth + 2)}`);
    }
    if (random.chance(0.1)) {
      const strange = Object.values(schema.getTypeMap()).filter(isObjectType);
      fields.push(`... on ${random.pick(strange).name} { __typename }`);
    }
  }
  return `{ ${fields.join(' ')} }`;
}

/** A value as it is written in a document; enum values without quotes where the type says so. */
function literal(value: unknown, type: GraphQLInputType): string {
  const inner = isNonNullType(type) ? type.ofType : type;
  if (Array.isArray(value)) {
    const of = isListType(inner) ? inner.ofType : inner;
    return `[${value.map((each) => literal(each, of)).join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const fields = isInputObjectType(inner) ? inner.getFields() : {};
    const written = Object.entries(value).map(
      ([name, each]) => `${name || '_'}: ${literal(each, fields[name]?.type ?? inner)}`,
    );
    return `{ ${written.join(', ')} }`;
  }
  if (typeof value === 'string' && isEnumType(inner)) return value;
  return JSON.stringify(value) ?? 'null';
}
