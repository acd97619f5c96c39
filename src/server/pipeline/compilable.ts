/**
 * Which queries may be compiled. The compiler writes a program from the document, so nothing of a document gets into it but
 * names, whole numbers, booleans and enum values: a text in a literal argument would be code to graphql-jit (0.8.9 takes some
 * texts for dates and infinities). Left to graphql is also what the compiler does differently: literal objects and
 * lists, defaults of variables, directives, introspection, fragments on an interface within another, and the name `__proto__`.
 */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLAbstractType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';

/** Fields of the largest query that is compiled, each fragment counted where it is used: 20 ms. */
const MAX_FIELDS = 250;

const WRITTEN_OUT: ReadonlySet<ValueNode['kind']> = new Set([
  Kind.VARIABLE,
  Kind.INT,
  Kind.BOOLEAN,
  Kind.ENUM,
]);

/** The number of fields of a valid operation, each fragment counted where it is used; null if it may not be compiled. */
export function fieldsToCompile(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): number | null {
  const root = schema.getQueryType();
  if (operation.operation !== OperationTypeNode.QUERY || !root) return null;
  const variables = operation.variableDefinitions ?? [];
  const directives = [operation, ...variables].flatMap((node) => node.directives ?? []);
  if (directives.length > 0 || variables.some(({ defaultValue }) => defaultValue)) return null;
  if (
    [operation.name, ...variables.map(({ variable }) => variable.name)].some(
      (name) => name?.value === '__proto__',
    )
  )
    return null;
  const fragments = new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  );
  const count = countFields(operation.selectionSet, { schema, fragments, type: root }, MAX_FIELDS);
  return count === null || count > MAX_FIELDS ? null : count;
}

/** Where a selection stands. */
interface SelectionScope {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly type: GraphQLObjectType;
  /** The interface or union that the type is one of here. */
  readonly among?: GraphQLAbstractType;
}

/** Counts up to a limit; null if a field may not be compiled. */
function countFields({ selections }: SelectionSetNode, scope: SelectionScope, limit: number): number | null {
  let count = 0;
  for (const selection of selections) {
    if (count > limit) return count;
    if ((selection.directives?.length ?? 0) > 0) return null;
    let inner: number | null = 0;
    if (selection.kind === Kind.FIELD) {
      count += 1;
      inner = innerFields(selection, scope, limit - count);
    } else {
      const fragment =
        selection.kind === Kind.INLINE_FRAGMENT ? selection : scope.fragments.get(selection.name.value);
      if (!fragment || (fragment.directives?.length ?? 0) > 0) return null;
      const on = fragment.typeCondition?.name.value ?? scope.type.name;
      if (on === scope.type.name || on === scope.among?.name)
        inner = countFields(fragment.selectionSet, scope, limit - count);
      // It is counted with the type that it is about.
      else if (!scope.among || !isObjectType(scope.schema.getType(on))) return null;
    }
    if (inner === null) return null;
    count += inner;
  }
  return count;
}

function innerFields(
  { name, alias, selectionSet, arguments: given }: FieldNode,
  scope: SelectionScope,
  limit: number,
): number | null {
  if (alias?.value === '__proto__') return null;
  if (name.value === '__typename') return 0;
  // `__schema` and `__type` are no fields of their type.
  const field = scope.type.getFields()[name.value];
  if (!field || given?.some(({ value }) => !WRITTEN_OUT.has(value.kind))) return null;
  if (!selectionSet) return 0;
  const of = getNamedType(field.type);
  const { schema, fragments } = scope;
  if (isObjectType(of)) return countFields(selectionSet, { schema, fragments, type: of }, limit);
  if (!isAbstractType(of)) return null;
  let count = 0;
  for (const type of schema.getPossibleTypes(of)) {
    const inner = countFields(selectionSet, { schema, fragments, type, among: of }, limit - count);
    if (inner === null) return null;
    count += inner;
  }
  return count;
}
