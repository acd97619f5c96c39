/**
 * Executes operations. A query that is asked again and again is compiled to a function (graphql-jit), which takes a third
 * of the time of going through its document. It answers the same: `test/fuzz/compiled.test.ts` compares them. Whatever has
 * an error is left to graphql, and so is every document that `compilable.ts` does not let through.
 */
import {
  type ExecutionResult,
  execute,
  getOperationAST,
  getVariableValues,
  type OperationDefinitionNode,
} from 'graphql';
import type { CompiledQuery } from 'graphql-jit';
import { LRUCache } from 'lru-cache';
import { fieldsToCompile } from './compilable.ts';
import { costOf } from './cost.ts';
import type { Operation } from './operation.ts';

type Answer = ExecutionResult | Promise<ExecutionResult>;

/** Executes a valid query or mutation. */
export type Execute = (operation: Operation) => Answer;

/**
 * A query is compiled when it was asked so often: compiling takes as long as executing it some times. An expensive one was
 * worth it at its first call: {@link COST_OF_CALL} count as one call.
 */
export const COMPILED_AFTER = 20;
const COST_OF_CALL = 20;
/** The same after a compiled query has had an error, which is executed twice. */
const AFTER_ERROR = 1000;
/** Fields of all compiled documents: about 6 KB each. */
const MAX_FIELDS_TOGETHER = 5000;

type Compile = (operation: Operation, name: string | undefined) => CompiledQuery['query'] | null;

export function createExecutor(): Execute {
  /** How many calls are left until an operation is compiled. */
  const callsLeft = new WeakMap<OperationDefinitionNode, number>();
  const compiled = new LRUCache<OperationDefinitionNode, CompiledQuery['query']>({
    maxSize: MAX_FIELDS_TOGETHER,
  });
  let compile: Compile | null = null;
  let loading = false;

  /** The compiler is loaded for the first query that is asked often. */
  function load(): void {
    if (loading) return;
    loading = true;
    loadCompiler().then(
      (loaded) => {
        compile = loaded;
      },
      // Without it everything is executed as usual.
      () => {},
    );
  }

  /** Counts a call; compiles the operation when it is time. */
  function count(query: OperationDefinitionNode, operation: Operation): void {
    const left = callsLeft.get(query) ?? COMPILED_AFTER;
    if (left > 0) {
      const after = Math.max(0, left - (left > COMPILED_AFTER ? 1 : callsOf(query, operation)));
      callsLeft.set(query, after);
      // It is there by the next call.
      if (after === 0) load();
      return;
    }
    if (left < 0 || !compile) return;
    const fields = fieldsToCompile(operation.schema, operation.document, query);
    const run = fields === null ? null : compile(operation, query.name?.value);
    if (run) compiled.set(query, run, { size: fields ?? 1 });
    // What cannot be compiled is not tried again.
    callsLeft.set(query, run ? COMPILED_AFTER : -1);
  }

  return (operation) => {
    const { schema, document, operationName, rootValue, contextValue, variableValues } = operation;
    const query = getOperationAST(document, operationName);
    if (!query) return execute(operation);
    const run = compiled.get(query);
    if (!run) {
      count(query, operation);
      return execute(operation);
    }
    const given = variableValues ?? {};
    const { variableDefinitions = [] } = query;
    if (variableDefinitions.length > 0 && getVariableValues(schema, variableDefinitions, given).errors) {
      return execute(operation);
    }
    const checked = (result: ExecutionResult) => {
      if (!result.errors) return result;
      compiled.delete(query);
      callsLeft.set(query, AFTER_ERROR);
      return execute(operation);
    };
    const answer = run(rootValue, contextValue, given);
    return answer instanceof Promise ? answer.then(checked) : checked(answer);
  };
}

/** As how many calls an operation counts, by its cost. */
function callsOf(query: OperationDefinitionNode, { schema, document, variableValues }: Operation): number {
  const { total } = costOf(schema, document, query, variableValues ?? {});
  return Math.max(1, Math.floor(total / COST_OF_CALL));
}

async function loadCompiler(): Promise<Compile> {
  const { compileQuery, isCompiledQuery } = await import('graphql-jit');
  return ({ schema, document }, name) => {
    const found = compileQuery(schema, document, name);
    return isCompiledQuery(found) ? found.query : null;
  };
}
