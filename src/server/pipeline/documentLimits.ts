/**
 * What an operation may look like: bounded words, fields, aliases and depth before it is validated, bounded variables and
 * cost before it runs.
 */
import {
  type DocumentNode,
  type ExecutionArgs,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLErrorOptions,
  getOperationAST,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type SelectionSetNode,
  type StringValueNode,
  visit,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LosslessNumber } from 'lossless-json';
import { LIMITS, type LimitName, type Limits } from '../../environment/limits.ts';
import { costOf } from './cost.ts';

/** Bounds the documents of every door, since all of them parse and validate with Yoga. */
export function boundDocuments(limits: Limits, introspection: boolean): Plugin {
  const looked = new WeakMap<DocumentNode, GraphQLError | null>();
  const look = (document: DocumentNode): GraphQLError | null => {
    const before = looked.get(document);
    if (before !== undefined) return before;
    const found = tooComplex(document, limits);
    looked.set(document, found);
    return found;
  };

  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => {
        try {
          return parseFn(source, { ...options, maxTokens: limits.tokens });
        } catch (error) {
          if (error instanceof RangeError) throw refusal('The document is nested too deeply to be read');
          if (error instanceof GraphQLError && error.message.includes(`${limits.tokens} tokens`)) {
            throw over('tokens', limits);
          }
          throw error;
        }
      });
    },
    onValidate({ params, setResult, addValidationRule }) {
      const error = look(params.documentAST);
      if (error) setResult([error]);
      if (!introspection) addValidationRule(NoSchemaIntrospectionCustomRule);
    },
  };
}

function refusal(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'TOO_COMPLEX' } });
}

function over(name: LimitName, limits: Limits): GraphQLError {
  const { what, variable } = LIMITS[name];
  return refusal(
    `Too much at once: at most ${limits[name]} ${what} (${variable}). Ask for less, or in parts`,
  );
}

/** The size of the document itself; nothing here depends on the schema. */
function tooComplex(document: DocumentNode, limits: Limits): GraphQLError | null {
  let fields = 0;
  let aliases = 0;
  let badText: StringValueNode | null = null;
  visit(document, {
    StringValue(node) {
      if (NO_TEXT.test(node.value)) badText ??= node;
    },
    Field({ alias }) {
      fields += 1;
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
  if (badText) return noText({ nodes: badText });
  return depthWithin(document, limits.depth) ? null : over('depth', limits);
}

/** Introspection is bounded by graphql-js itself. */
function depthWithin({ definitions }: DocumentNode, limit: number): boolean {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  }
  /** The most that was left when a fragment was looked into: with more left it need not be looked into again. */
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

/** Why an operation is not run with these variables. */
export function exceededLimit(args: ExecutionArgs, limits: Limits): GraphQLError | null {
  const variables = args.variableValues ?? {};
  const name = variablesOver(variables, limits);
  if (name) return over(name, limits);
  const path = badTextIn(variables);
  if (path) return noText({ extensions: { path } });
  const operation = getOperationAST(args.document, args.operationName);
  if (!operation) return null;
  return costOf(args.schema, args.document, operation, variables) > limits.cost ? over('cost', limits) : null;
}

/** What no database takes as text: NUL, and half of a UTF-16 pair. */
const NO_TEXT = /[\0\p{Surrogate}]/u;

function noText({ nodes, extensions }: GraphQLErrorOptions): GraphQLError {
  const place = Array.isArray(extensions?.path) ? `${extensions.path.join('.')}: ` : '';
  return new GraphQLError(
    `${place}Text must not have NUL characters or halves of characters (lone surrogates)`,
    {
      nodes: nodes ?? null,
      extensions: { code: 'BAD_USER_INPUT', ...extensions },
    },
  );
}

/** The way to the first text that is none. The depth was bounded before. */
function badTextIn(value: unknown): string[] | null {
  if (typeof value === 'string') return NO_TEXT.test(value) ? [] : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    if (NO_TEXT.test(name)) return [JSON.stringify(name)];
    const path = badTextIn(inner);
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
