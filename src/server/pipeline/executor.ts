/**
 * Executes operations. A query that is asked again and again is compiled to a function (graphql-jit), which takes a third
 * of the time of going through its document. It answers the same: `test/fuzz/compiled.test.ts` compares them. What the
 * compiler does differently is left to graphql: mutations, directives, introspection, and whatever has an error.
 */
import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  getOperationAST,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  visit,
} from 'graphql';
import type { CompiledQuery } from 'graphql-jit';
import { LRUCache } from 'lru-cache';
import type { Operation } from './operation.ts';

type Answer = ExecutionResult | Promise<ExecutionResult>;

/** Executes a valid query or mutation. */
export type Execute = (operation: Operation) => Answer;

/** A query is compiled when it was asked so often: compiling takes 40 µs a token, and as long again for the first ones. */
export const COMPILED_AFTER = 20;
/** Tokens of the largest document that is compiled: 20 ms. */
const MAX_TOKENS = 500;
/** Tokens of all compiled documents: each takes 3.3 KB. */
const MAX_TOKENS_TOGETHER = 10_000;

type Compile = (operation: Operation, name: string | undefined) => CompiledQuery['query'] | null;

export function createExecutor(): Execute {
  /** How often the operations of documents that may be compiled were asked. */
  const asked = new WeakMap<OperationDefinitionNode, number>();
  const compiled = new LRUCache<OperationDefinitionNode, CompiledQuery['query']>({
    maxSize: MAX_TOKENS_TOGETHER,
  });
  let compile: Compile | null = null;
  let loading = false;

  /** Counts a call; compiles the operation when it is time. The compiler is loaded for the first one. */
  function count(query: OperationDefinitionNode, operation: Operation): void {
    const before = asked.get(query) ?? (isCompilable(operation.document) ? 0 : Number.NEGATIVE_INFINITY);
    asked.set(query, before + 1);
    if (before < COMPILED_AFTER) return;
    if (compile === null) {
      if (!loading) void loadCompiler().then((loaded) => (compile = loaded));
      loading = true;
      return;
    }
    const run = compile(operation, query.name?.value);
    if (run) compiled.set(query, run, { size: operation.document.tokenCount ?? MAX_TOKENS });
    // Where it cannot be compiled it is not tried again.
    asked.set(query, run ? 0 : Number.NEGATIVE_INFINITY);
  }

  return (operation) => {
    const { schema, document, operationName, rootValue, contextValue, variableValues } = operation;
    const query = getOperationAST(document, operationName);
    if (query?.operation !== OperationTypeNode.QUERY) return execute(operation);
    const run = compiled.get(query);
    if (!run) {
      count(query, operation);
      return execute(operation);
    }
    const given = variableValues ?? {};
    const { errors } = getVariableValues(schema, query.variableDefinitions ?? [], given);
    if (errors) return execute(operation);
    const answer = run(rootValue, contextValue, given);
    const checked = (result: ExecutionResult) => {
      if (!result.errors) return result;
      compiled.delete(query);
      return execute(operation);
    };
    return answer instanceof Promise ? answer.then(checked) : checked(answer);
  };
}

async function loadCompiler(): Promise<Compile> {
  const { compileQuery, isCompiledQuery } = await import('graphql-jit');
  return ({ schema, document }, name) => {
    const found = compileQuery(schema, document, name);
    return isCompiledQuery(found) ? found.query : null;
  };
}

function isCompilable(document: DocumentNode): boolean {
  if ((document.tokenCount ?? Number.POSITIVE_INFINITY) > MAX_TOKENS) return false;
  let compilable = true;
  visit(document, {
    [Kind.FIELD]: ({ name }) => {
      if (name.value === '__schema' || name.value === '__type') compilable = false;
    },
    [Kind.DIRECTIVE]: () => {
      compilable = false;
    },
  });
  return compilable;
}
