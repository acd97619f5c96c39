/** Documents for every operation of the schema: with its required arguments, with each optional one, with deep selections. */
import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isRequiredArgument,
  isRequiredInputField,
  parse,
} from 'graphql';
import { readEnvironment } from '../../../src/environment/environment.ts';
import { schema } from '../../../src/graphql/schema.ts';
import { costOf } from '../../../src/server/pipeline/cost.ts';
import type { Operation } from '../../harness/documents.ts';

export interface Document {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** What the arguments of a document name. */
export interface Names {
  /** The value of every argument of type ID, and of strings without a format of their own. */
  readonly id: string;
  readonly side: 'CANARY' | 'STABLE';
  /** The value of arguments of type JSON. */
  readonly document: unknown;
  /** The idempotency key, where a document has one. */
  readonly key?: string;
  /** The size of a page at the root; small, so that what is deep below it is within the limits. */
  readonly page?: number;
}

/** Strings with a format, by the names of their arguments. */
const FORMATS: Readonly<Record<string, string>> = {
  url: 'http://127.0.0.1:9/x',
  rule: '15 8 * * *',
  timeZone: 'UTC',
  after: '0',
  before: '0',
  reason: 'a reason',
  description: 'a description',
  chain: '*',
  chains: '*',
};

/** The paths of all optional arguments and fields of inputs, such as `input.config.steps`. */
export function optionalPaths({ field }: Operation): string[] {
  return field.args.flatMap((arg) => {
    const inner = pathsIn(arg.type, arg.name, 0);
    return isRequiredArgument(arg) ? inner : [arg.name, ...inner];
  });
}

function pathsIn(type: GraphQLInputType, path: string, depth: number): string[] {
  const named = getNamedType(type);
  if (!isInputObjectType(named) || depth > 2) return [];
  return Object.values(named.getFields()).flatMap((field) => {
    const here = `${path}.${field.name}`;
    const inner = pathsIn(field.type, here, depth + 1);
    return isRequiredInputField(field) ? inner : [here, ...inner];
  });
}

/** Whether an argument is an id, or can be one. */
export function isId({ field }: Operation, path: string): boolean {
  let type: GraphQLInputType | undefined = field.args.find(({ name }) => path.split('.')[0] === name)?.type;
  for (const name of path.split('.').slice(1)) {
    const object: unknown = type && getNamedType(type);
    type = isInputObjectType(object) ? object.getFields()[name]?.type : undefined;
  }
  return type !== undefined && ['ID', 'String', 'JSON'].includes(getNamedType(type).name);
}

/**
 * A document with the required arguments.
 * @param also the path of an optional one that it has besides
 */
export function documentFor(
  { kind, field }: Operation,
  names: Names,
  also = '',
  selection = answerOf(field),
): Document {
  const within = (path: string) => also === path || also.startsWith(`${path}.`);
  function value(type: GraphQLInputType, name: string, path: string): unknown {
    const nullable = getNullableType(type);
    if (isListType(nullable)) return [value(nullable.ofType, name, path)];
    if (isInputObjectType(nullable)) {
      const fields = Object.values(nullable.getFields()).filter(
        (inner) => isRequiredInputField(inner) || within(`${path}.${inner.name}`),
      );
      return Object.fromEntries(
        fields.map((inner) => [inner.name, value(inner.type, inner.name, `${path}.${inner.name}`)]),
      );
    }
    if (isEnumType(nullable)) return nullable.name === 'Side' ? names.side : nullable.getValues()[0]?.name;
    return scalarOf(String(nullable), name, names);
  }
  const args = field.args.filter((arg) => isRequiredArgument(arg) || within(arg.name));
  const declared = args.map(({ name, type }) => `$${name}: ${type}`).join(', ');
  const given = args.map(({ name }) => `${name}: $${name}`).join(', ');
  return {
    query: `${kind} Matrix${declared && `(${declared})`} { ${field.name}${given && `(${given})`} ${selection} }`,
    variables: Object.fromEntries(args.map(({ name, type }) => [name, value(type, name, name)])),
  };
}

function scalarOf(type: string, name: string, { id, document, key, page = 3 }: Names): unknown {
  if (type === 'ID') return id;
  if (name === 'idempotencyKey') return key ?? `key of ${id}`;
  if (type === 'String') return FORMATS[name] ?? id;
  if (type === 'JSON') return document;
  return {
    Int: name === 'first' ? page : 1,
    Float: 1,
    Boolean: true,
    Decimal: '1',
    DateTime: '2030-01-01T00:00:00Z',
  }[type];
}

/** What tells how an operation went: without what differs between two equal ones, such as new ids. */
function answerOf(field: GraphQLField<unknown, unknown>): string {
  const type = getNamedType(field.type);
  if (!('getFields' in type)) return '';
  const fields = Object.keys(type.getFields());
  const shown = fields.filter((name) => name === 'success' || name === 'message');
  // Of a batch each item has an answer of its own.
  const results = fields.includes('results') ? 'results { success error { code message path } }' : '';
  if (fields.includes('error')) return `{ ${shown.join(' ')} error { code message path } ${results} }`;
  return leaves(field.type);
}

function leaves(type: GraphQLOutputType): string {
  const named = getNamedType(type);
  if (!isCompositeType(named)) return '';
  if (isAbstractType(named)) return '{ __typename }';
  const own = Object.values(named.getFields())
    .filter((inner) => !isCompositeType(getNamedType(inner.type)) && !inner.args.some(isRequiredArgument))
    .map(({ name }) => name);
  return `{ __typename ${own.join(' ')} }`;
}

const { limits } = readEnvironment({}).http;

/**
 * Documents that together read every field below an operation, each within the limits.
 * @param depth levels of objects
 */
export function deepReads(operation: Operation, names: Names, depth: number): Document[] {
  const also = operation.field.args.some(({ name }) => name === 'first') ? 'first' : '';
  const selections = selectionsOf(operation.field.type, depth);
  if (selections.length === 0) return [documentFor(operation, names, also, '')];
  const documents: Document[] = [];
  let taken: string[] = [];
  const made = () => documentFor(operation, names, also, `{ ${taken.join(' ')} }`);
  for (const selection of selections) {
    taken.push(selection);
    if (fits(made())) continue;
    taken.pop();
    if (taken.length > 0) documents.push(made());
    taken = [selection];
    if (!fits(made())) throw new Error(`${operation.name}: too much for one document: ${selection}`);
  }
  documents.push(made());
  return documents;
}

function fits({ query, variables }: Document): boolean {
  const document = parse(query);
  const [operation] = document.definitions;
  if (operation?.kind !== 'OperationDefinition') return false;
  const words = query.match(/\w+/g)?.length ?? 0;
  return words < limits.fields && costOf(schema, document, operation, variables).total <= limits.cost;
}

/**
 * Parts of a selection, each of which can stand alone: the leaves of an object are one, every object below is others.
 * @param above the types on the way, which are not entered again
 */
function selectionsOf(type: GraphQLOutputType, depth: number, above: readonly string[] = []): string[] {
  const named = getNamedType(type);
  if (!isCompositeType(named)) return [];
  const types = [...above, named.name];
  if (isAbstractType(named)) {
    return schema
      .getPossibleTypes(named)
      .flatMap((one) => selectionsOf(one, depth, types).map((inner) => `... on ${one.name} { ${inner} }`));
  }
  const fields = Object.values(named.getFields()).filter((field) => !field.args.some(isRequiredArgument));
  const isLeaf = ({ type: inner }: (typeof fields)[number]) => !isCompositeType(getNamedType(inner));
  const own = fields.filter(isLeaf).map(({ name }) => name);
  const below = fields.filter((field) => !isLeaf(field));
  return [
    `__typename ${own.join(' ')}`,
    ...below.flatMap((field) => {
      if (depth === 0 || types.includes(getNamedType(field.type).name)) return [];
      const page = field.args.some(({ name }) => name === 'first') ? '(first: 3)' : '';
      return selectionsOf(field.type, depth - 1, types).map((inner) => `${field.name}${page} { ${inner} }`);
    }),
  ];
}
