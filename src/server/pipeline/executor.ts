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

/** Calls that are left of what is not compiled. */
const NEVER = -1;

type Compile = (operation: Operation, name: string | undefined) => CompiledQuery['query'] | null;

export function createExecutor(): Execute {
  /** How many calls are left until an operation is compiled. */
  const callsLeft = new WeakMap<OperationDefinitionNode, number>();
  const compiled = new LRUCache<OperationDefinitionNode, CompiledQuery['query']>({
    maxSize: MAX_FIELDS_TOGETHER,
  });
  let compiler: Promise<Compile> | null = null;

  /** Counts a call that was answered, and compiles the operation when it is time: nobody waits for it. */
  function count(query: OperationDefinitionNode, operation: Operation): void {
    const left = callsLeft.get(query) ?? COMPILED_AFTER;
    // Another call that was in flight has been the last.
    if (left === NEVER) return;
    const after = left - (left > COMPILED_AFTER ? 1 : callsOf(query, operation));
    callsLeft.set(query, after);
    // Without the compiler everything is executed as usual.
    if (after <= 0) compileSoon(query, operation).catch(() => {});
  }

  /** The compiler is loaded for the first query that is worth it. What cannot be compiled is not tried again. */
  async function compileSoon(query: OperationDefinitionNode, operation: Operation): Promise<void> {
    callsLeft.set(query, NEVER);
    const fields = fieldsToCompile(operation.schema, operation.document, query);
    if (fields === null) return;
    compiler ??= loadCompiler();
    const run = (await compiler)(operation, query.name?.value);
    if (!run) return;
    compiled.set(query, run, { size: fields });
    callsLeft.set(query, COMPILED_AFTER);
  }

  return (operation) => {
    const { schema, document, operationName, rootValue, contextValue, variableValues } = operation;
    const query = getOperationAST(document, operationName);
    if (!query) return execute(operation);
    const run = compiled.get(query);
    if (!run) {
      const answer = execute(operation);
      if (callsLeft.get(query) === NEVER) return answer;
      const answered = () => count(query, operation);
      if (answer instanceof Promise) answer.then(answered, answered);
      else answered();
      return answer;
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
