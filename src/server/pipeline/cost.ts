/**
 * The cost of an operation, computed before it runs: the objects it can return, with the sizes of nested pages
 * multiplied, and their scalars. A page counts its size, any other list an assumed length, and each nested page also its
 * database query. `graphql/price.ts` says what costs more than one object.
 */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isListType,
  isUnionType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import type { Context } from '../../graphql/builder.ts';
import { readsDatabase } from '../../graphql/fairTurns.ts';
import { DEFAULT_PAGE, MAX_PAGE, MAX_POINTS } from '../../graphql/paging.ts';
import { statedCost } from '../../graphql/price.ts';

const ASSUMED_LENGTH = 10;
/** The query of a page, or of another field that reads for each of its parents. */
const COST_OF_READ = 10;
/** A whole document, or the details of an event. */
const COST_OF_JSON = 20;

/** Points of a series that count as one object. */
const POINTS_OF_COST = 20;

/** Scalars that count as one object. */
const SCALARS_OF_COST = 10;

/** Fields of the root with long computations, and introspection: the whole schema is half a megabyte. */
const COST_OF_FIELD: Readonly<Record<string, number>> = {
  __schema: 2000,
  __type: 200,
  /** A whole history. */
  exportDeployment: 3500,
  simulatePolicy: 2000,
  policySimulation: 2000,
  replayPolicy: 2000,
  importDeployment: 500,
};

type Variables = Readonly<Record<string, unknown>>;

/** The cost of an operation in units, and the share of each field at its root, the most expensive first. */
export interface Cost {
  readonly total: number;
  readonly fields: readonly { readonly name: string; readonly cost: number }[];
}

/** The costs of operations in which no size is a variable: they are the same every time. */
const fixed = new WeakMap<OperationDefinitionNode, Cost>();

/** @param sent the variables of the client; invalid ones are refused later */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  sent: Variables,
): Cost {
  const known = fixed.get(operation);
  if (known) return known;
  const sizes = { variables: { ...defaultsOf(operation), ...sent }, areFixed: true };
  const cost = computeCost(schema, document, operation, sizes);
  if (sizes.areFixed) fixed.set(operation, cost);
  return cost;
}

/** The variables that sizes are read from, and whether none was. */
interface Sizes {
  readonly variables: Variables;
  areFixed: boolean;
}

function computeCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  sizes: Sizes,
): Cost {
  const atRoot = new Map<string, number>();
  const fragments = new Map(
    document.definitions.flatMap((node) =>
      node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node] as const] : [],
    ),
  );
  /** Of each fragment, for each size of page it is spread in: it is walked once, however often it is spread. */
  const known = new Map<string, number>();
  const root = schema.getRootType(operation.operation);

  /** @param page how many items the lists of this object hold, when it is a connection */
  function selected(
    { selections }: SelectionSetNode,
    type: GraphQLCompositeType,
    page: number | null,
  ): number {
    let cost = 0;
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) cost += counted(selection, type, page);
      else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const narrowed = compositeType(selection.typeCondition?.name.value) ?? type;
        cost += selected(selection.selectionSet, narrowed, page);
      } else {
        const fragment = fragments.get(selection.name.value);
        if (fragment) cost += spread(fragment, page);
      }
    }
    return cost;
  }

  function spread(fragment: FragmentDefinitionNode, page: number | null): number {
    const type = compositeType(fragment.typeCondition.name.value);
    if (!type) return 0;
    const key = `${fragment.name.value} ${page}`;
    const cost = known.get(key) ?? selected(fragment.selectionSet, type, page);
    known.set(key, cost);
    return cost;
  }

  function counted(node: FieldNode, parent: GraphQLCompositeType, page: number | null): number {
    const cost = field(node, parent, page);
    const name = (node.alias ?? node.name).value;
    if (parent === root) atRoot.set(name, Math.max(cost, atRoot.get(name) ?? 0));
    return cost;
  }

  function field(node: FieldNode, parent: GraphQLCompositeType, page: number | null): number {
    const definition = isUnionType(parent) ? undefined : parent.getFields()[node.name.value];
    if (!definition) return COST_OF_FIELD[node.name.value] ?? 0;
    const type = getNamedType(definition.type);
    if (!isCompositeType(type)) {
      const computed = parent === root ? COST_OF_FIELD[node.name.value] : undefined;
      return computed ?? (type.name === 'JSON' ? COST_OF_JSON : costOfScalar(definition));
    }
    const points = pointsOf(node, definition, sizes);
    if (points !== null) return COST_OF_READ + Math.ceil(points / POINTS_OF_COST);
    const own = pageSize(node, definition, sizes);
    const inner = node.selectionSet ? selected(node.selectionSet, type, own) : 0;
    if (own !== null) return COST_OF_READ + inner;
    const computed = parent === root ? (COST_OF_FIELD[node.name.value] ?? 0) : 0;
    const once = computed + costOfReading(definition) + (statedCost(definition) ?? 0);
    return once + lengthOf(node, definition, sizes, page) * (costOfObject(type) + inner);
  }

  /** An object of an interface or union may be of its most expensive type. */
  function costOfObject(type: GraphQLCompositeType): number {
    const types = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
    return Math.max(...types.map((each) => statedCost(each) ?? 1));
  }

  function compositeType(name: string | undefined): GraphQLCompositeType | null {
    const type = name === undefined ? undefined : schema.getType(name);
    return isCompositeType(type) ? type : null;
  }

  const total = root ? selected(operation.selectionSet, root, null) : 0;
  const fields = [...atRoot].map(([name, cost]) => ({ name, cost: inWhole(cost) }));
  return { total: inWhole(total), fields: fields.sort((a, b) => b.cost - a.cost) };
}

/** Tenths are not exact in binary: 0.1 of a unit more or less is no difference. */
const inWhole = (cost: number) => Math.ceil(Math.round(cost * 10) / 10);

/** Variables that the client leaves out have their default values. */
function defaultsOf({ variableDefinitions = [] }: OperationDefinitionNode): Variables {
  return Object.fromEntries(
    variableDefinitions.flatMap(({ variable, defaultValue }) =>
      defaultValue ? [[variable.name.value, read(defaultValue, {})]] : [],
    ),
  );
}

/** The size of the page that a connection is asked for; null where there is no paging. */
function pageSize(node: FieldNode, { args }: GraphQLField<unknown, unknown>, sizes: Sizes): number | null {
  if (!args.some(({ name }) => name === 'first')) return null;
  const asked = given(node, 'first', sizes) ?? given(node, 'last', sizes) ?? DEFAULT_PAGE;
  return typeof asked === 'number' ? Math.min(Math.max(asked, 0), MAX_PAGE) : MAX_PAGE;
}

/** How many points a series is asked for; null where there is none. */
function pointsOf(node: FieldNode, { args }: GraphQLField<unknown, unknown>, sizes: Sizes): number | null {
  const standard = args.find(({ name }) => name === 'points')?.defaultValue;
  if (typeof standard !== 'number') return null;
  const asked = given(node, 'points', sizes);
  return typeof asked === 'number' ? Math.min(Math.max(asked, 0), MAX_POINTS) : standard;
}

function lengthOf(
  node: FieldNode,
  { type, args }: GraphQLField<unknown, unknown>,
  sizes: Sizes,
  page: number | null,
): number {
  if (!isListType(getNullableType(type))) return 1;
  if (page !== null) return page;
  if (!args.some(({ name }) => name === 'ids')) return ASSUMED_LENGTH;
  const ids = given(node, 'ids', sizes);
  return Array.isArray(ids) ? ids.length : 1;
}

const costOfReading = (field: GraphQLField<unknown, Context>) => (readsDatabase(field) ? COST_OF_READ : 0);

const costOfScalar = (field: GraphQLField<unknown, Context>) =>
  1 / SCALARS_OF_COST + (statedCost(field) ?? 0) + costOfReading(field);

/** The value of an argument, as far as it matters: numbers, and lists for their length. */
function given(node: FieldNode, name: string, sizes: Sizes): unknown {
  const value = node.arguments?.find((argument) => argument.name.value === name)?.value;
  if (value?.kind === Kind.VARIABLE) sizes.areFixed = false;
  return value && read(value, sizes.variables);
}

function read(value: ValueNode, variables: Variables): unknown {
  if (value.kind === Kind.VARIABLE) return variables[value.name.value] ?? undefined;
  if (value.kind === Kind.INT) return Number(value.value);
  if (value.kind === Kind.LIST) return value.values;
  return undefined;
}
