/**
 * Limits of an operation: tokens, fields, aliases and depth are checked before validation, variables and cost before
 * execution.
 */
import {
  type DirectiveNode,
  type DocumentNode,
  type ExecutionArgs,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLErrorOptions,
  getOperationAST,
  Kind,
  NoSchemaIntrospectionCustomRule,
  OperationTypeNode,
  type SelectionSetNode,
  type StringValueNode,
  visit,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LosslessNumber } from 'lossless-json';
import { LIMITS, type LimitName, type Limits } from '../../environment/limits.ts';
import { type Cost, costOf } from './cost.ts';
import { repeatsTooMuch } from './repeatedFields.ts';

/** Errors of an invalid document that are reported; finding and explaining each takes time. */
const MAX_ERRORS = 20;

/** Bounds the documents of every transport, since all of them parse and validate with Yoga. */
export function boundDocuments(limits: Limits, introspection: boolean): Plugin {
  const checked = new WeakMap<DocumentNode, GraphQLError | null>();
  const check = (document: DocumentNode): GraphQLError | null => {
    const known = checked.get(document);
    if (known !== undefined) return known;
    const found = tooComplex(document, limits);
    checked.set(document, found);
    return found;
  };

  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => {
        const { length } = source.toString();
        if (length > limits.documentLength) throw over('documentLength', limits);
        try {
          return parseFn(source, { ...options, maxTokens: limits.tokens });
        } catch (error) {
          if (error instanceof RangeError) throw refusal('The document is nested too deeply to be parsed');
          if (error instanceof GraphQLError && error.message.includes(`${limits.tokens} tokens`)) {
            throw over('tokens', limits);
          }
          throw error;
        }
      });
    },
    onValidate({ params, validateFn, setValidationFn, setResult, addValidationRule }) {
      setValidationFn((of, document, rules) => {
        try {
          return validateFn(of, document, rules, { maxErrors: MAX_ERRORS });
        } catch (error) {
          return [validationError(error)];
        }
      });
      const error = check(params.documentAST) ?? conditionalSubscription(params.documentAST);
      if (error) setResult([error]);
      if (!introspection) addValidationRule(NoSchemaIntrospectionCustomRule);
    },
  };
}

/** The error of a validation that throws: graphql-js does so for some documents instead of returning errors. */
function validationError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return invalid(error.message, error.nodes ?? null);
  if (error instanceof RangeError) return refusal('The document is nested too deeply to be validated');
  const originalError = error instanceof Error ? error : new Error(String(error));
  return new GraphQLError(originalError.message, { originalError });
}

function invalid(message: string, nodes: GraphQLErrorOptions['nodes']): GraphQLError {
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED', http: { spec: true, status: 400 } },
  });
}

/**
 * The specification forbids `@skip` and `@include` on the root selection of a subscription: they depend on variables, which
 * validation does not know.
 */
function conditionalSubscription({ definitions }: DocumentNode): GraphQLError | null {
  const fragments = fragmentsOf(definitions);
  const visited = new Set<FragmentDefinitionNode>();

  function directiveIn({ selections }: SelectionSetNode): DirectiveNode | null {
    for (const selection of selections) {
      const directive = selection.directives?.find(({ name }) => CONDITIONAL.has(name.value));
      if (directive) return directive;
      if (selection.kind === Kind.FIELD) continue;
      const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value);
      if (!inner) continue;
      if (inner.kind === Kind.FRAGMENT_DEFINITION) {
        if (visited.has(inner)) continue;
        visited.add(inner);
      }
      const found = directiveIn(inner.selectionSet);
      if (found) return found;
    }
    return null;
  }

  for (const node of definitions) {
    if (node.kind !== Kind.OPERATION_DEFINITION || node.operation !== OperationTypeNode.SUBSCRIPTION)
      continue;
    const directive = directiveIn(node.selectionSet);
    if (!directive) continue;
    const name = directive.name.value;
    return invalid(`The root field of a subscription must not use @${name}: subscribe or do not`, directive);
  }
  return null;
}

const CONDITIONAL: ReadonlySet<string> = new Set(['skip', 'include']);

function fragmentsOf(definitions: DocumentNode['definitions']): Map<string, FragmentDefinitionNode> {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  }
  return fragments;
}

function refusal(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'TOO_COMPLEX' } });
}

function over(name: LimitName, limits: Limits): GraphQLError {
  const { what, variable } = LIMITS[name];
  return refusal(`Limit exceeded: at most ${limits[name]} ${what} (${variable}). Request less, or in parts`);
}

/** Checks the size of the document; nothing here depends on the schema. */
function tooComplex(document: DocumentNode, limits: Limits): GraphQLError | null {
  let fields = 0;
  let aliases = 0;
  let introspection = 0;
  let invalidString: StringValueNode | null = null;
  visit(document, {
    StringValue(node) {
      if (INVALID_CHARACTERS.test(node.value)) invalidString ??= node;
    },
    Field({ alias, name }) {
      fields += 1;
      if (name.value === '__schema' || name.value === '__type') introspection += 1;
      if (alias) aliases += 1;
    },
    FragmentSpread() {
      fields += 1;
    },
    InlineFragment() {
      fields += 1;
    },
  });
  if (fields > limits.fields) return over('fields', limits);
  if (aliases > limits.aliases) return over('aliases', limits);
  if (introspection > 1) return refusal('Limit exceeded: at most one of __schema and __type per document');
  if (invalidString) return invalidCharacters({ nodes: invalidString });
  const fragments = fragmentsOf(document.definitions);
  if (!depthWithin(document, fragments, limits.depth)) return over('depth', limits);
  return repeatsTooMuch(document, fragments)
    ? refusal('Limit exceeded: the document repeats fields of one name too often. Name each field once')
    : null;
}

/** Checks the depth. Introspection is bounded by graphql-js. */
function depthWithin(
  { definitions }: DocumentNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  limit: number,
): boolean {
  /** The smallest depth left with which a fragment was checked: with at least as much left it fits too. */
  const fits = new Map<FragmentDefinitionNode, number>();

  function within({ selections }: SelectionSetNode, left: number): boolean {
    return selections.every((selection) => {
      if (selection.kind === Kind.FIELD) {
        if (selection.name.value.startsWith('__')) return true;
        return left > 0 && (!selection.selectionSet || within(selection.selectionSet, left - 1));
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) return within(selection.selectionSet, left);
      const fragment = fragments.get(selection.name.value);
      if (!fragment || (fits.get(fragment) ?? Number.POSITIVE_INFINITY) <= left) return true;
      fits.set(fragment, left);
      return within(fragment.selectionSet, left);
    });
  }
  return definitions.every(
    (node) => node.kind !== Kind.OPERATION_DEFINITION || within(node.selectionSet, limit),
  );
}

/** Why an operation is refused with these variables; null if it is not. */
export function exceededLimit(args: ExecutionArgs, limits: Limits): GraphQLError | null {
  const variables = args.variableValues ?? {};
  const name = variablesOver(variables, limits);
  if (name) return over(name, limits);
  const path = invalidStringIn(variables);
  if (path) return invalidCharacters({ extensions: { path } });
  const operation = getOperationAST(args.document, args.operationName);
  if (!operation) return null;
  const cost = costOf(args.schema, args.document, operation, variables);
  return cost.total > limits.cost ? tooExpensive(cost, limits) : null;
}

function tooExpensive({ total, fields }: Cost, limits: Limits): GraphQLError {
  const expensive = fields.slice(0, 3).map(({ name, cost }) => `${name} ${cost}`);
  return refusal(
    `Limit exceeded: the document costs ${total} and may cost ${limits.cost} (${LIMITS.cost.variable}). ` +
      `Its most expensive fields: ${expensive.join(', ')}. Request smaller pages, or in parts`,
  );
}

/** Characters that the database cannot store: NUL and lone UTF-16 surrogates. */
const INVALID_CHARACTERS = /[\0\p{Surrogate}]/u;

function invalidCharacters({ nodes, extensions }: GraphQLErrorOptions): GraphQLError {
  const place = Array.isArray(extensions?.path) ? `${extensions.path.join('.')}: ` : '';
  return new GraphQLError(`${place}a string must not contain NUL characters or lone surrogates`, {
    nodes: nodes ?? null,
    extensions: { code: 'BAD_USER_INPUT', ...extensions },
  });
}

/** The path of the first invalid string; null if there is none. The depth was bounded before. */
function invalidStringIn(value: unknown): string[] | null {
  if (typeof value === 'string') return INVALID_CHARACTERS.test(value) ? [] : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    if (INVALID_CHARACTERS.test(name)) return [JSON.stringify(name)];
    const path = invalidStringIn(inner);
    if (path) return [name, ...path];
  }
  return null;
}

function variablesOver(variables: unknown, limits: Limits): LimitName | null {
  let values = 0;
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limits.variableDepth) return 'variableDepth';
    const next: unknown[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null || value instanceof LosslessNumber) continue;
      const inner: unknown[] = Object.values(value);
      values += inner.length;
      if (values > limits.variableValues) return 'variableValues';
      for (const each of inner) if (typeof each === 'object' && each !== null) next.push(each);
    }
    level = next;
  }
  return null;
}
