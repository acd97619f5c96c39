/** Documents for any operation of the schema, with the required arguments only. */
import {
  type GraphQLField,
  type GraphQLInputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import { schema } from '../../src/graphql/schema.ts';

export interface Operation {
  /** Such as `Mutation.promoteCanary`. */
  readonly name: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly field: GraphQLField<unknown, unknown>;
}

export const OPERATIONS: readonly Operation[] = [
  { kind: 'query' as const, type: schema.getQueryType() },
  { kind: 'mutation' as const, type: schema.getMutationType() },
  { kind: 'subscription' as const, type: schema.getSubscriptionType() },
].flatMap(({ kind, type }) =>
  Object.values(type?.getFields() ?? {}).map((field) => ({
    name: `${type?.name}.${field.name}`,
    kind,
    field,
  })),
);

/** A document of an operation; every id in it is the given one. */
export function documentOf({ kind, field }: Operation, id: string): string {
  const given = field.args
    .filter(isRequiredArgument)
    .map(({ name, type }) => `${name}: ${literalOf(type, id)}`);
  return `${kind} { ${field.name}${given.length > 0 ? `(${given.join(', ')})` : ''} ${selectionOf(field)} }`;
}

function selectionOf(field: GraphQLField<unknown, unknown>): string {
  const type = getNamedType(field.type);
  if (!('getFields' in type)) return '';
  return isObjectType(type) && type.getFields().error ? '{ error { code message path } }' : '{ __typename }';
}

function literalOf(type: GraphQLInputType, id: string): string {
  if (isNonNullType(type)) return literalOf(type.ofType, id);
  if (isListType(type)) return `[${literalOf(type.ofType, id)}]`;
  if (isEnumType(type)) return type.getValues()[0]?.name ?? '';
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter(isRequiredInputField);
    return `{ ${fields.map((field) => `${field.name}: ${literalOf(field.type, id)}`).join(', ')} }`;
  }
  return (
    { ID: JSON.stringify(id), Int: '1', Float: '1', Boolean: 'true', JSON: '{}' }[type.name] ??
    LEAST[type.name] ??
    '"x"'
  );
}

const LEAST: Readonly<Record<string, string>> = { Decimal: '"1"', DateTime: '"2030-01-01T00:00:00Z"' };
