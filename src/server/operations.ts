/**
 * What happens to every query and mutation, whichever door it came through: it is bounded, executed in time, seen from
 * outside, and its errors are made fit to be shown. Subscriptions are bounded by the same rules.
 */
import { type ExecutionResult, execute, type GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Limits } from '../environment/limits.ts';
import { tooMuch } from './pipeline/documentLimits.ts';
import type { Arrived, Operation } from './pipeline/operation.ts';
import { createKeyRate } from './pipeline/rateLimits.ts';
import { createPatience } from './pipeline/timeout.ts';
import type { Observer } from './telemetry/operationObserver.ts';

/** Errors as callers may see them. */
export type Present = (errors: readonly unknown[]) => GraphQLError[];

export interface OperationParts {
  readonly limits: Limits;
  /** Seconds of Serin's time in a real one; told with every answer when it is not 1. */
  readonly timeScale: number;
  readonly observe: Observer;
  readonly present: Present;
}

export interface Operations {
  /** Runs a valid query or mutation. */
  run(operation: Operation): Promise<ExecutionResult>;
  /** Lets Yoga run operations this way, too. */
  readonly plugin: Plugin<Arrived>;
}

export function createOperations({ limits, timeScale, observe, present }: OperationParts): Operations {
  const inTime = createPatience();
  const keys = createKeyRate(limits.keyRate);

  const refuse = async (operation: Operation) =>
    tooMuch(operation, limits) ?? (await keys.refuse(operation.contextValue));

  async function answer(operation: Operation): Promise<ExecutionResult> {
    try {
      const refused = await refuse(operation);
      if (refused) return { errors: [refused] };
      const result = await inTime(() => execute(operation));
      return result.errors ? { ...result, errors: present(result.errors) } : result;
    } catch (error) {
      return { errors: present([error]) };
    }
  }

  async function run(operation: Operation): Promise<ExecutionResult> {
    const end = observe(operation);
    const result = await answer(operation);
    end(result);
    return timeScale === 1 ? result : { ...result, extensions: { timeScale } };
  }

  return {
    run,
    plugin: {
      onExecute: ({ args, setExecuteFn }) => setExecuteFn(() => run(args)),
      async onSubscribe({ args, setResultAndStopExecution }) {
        const refused = await refuse(args);
        if (refused) setResultAndStopExecution({ errors: [refused] });
      },
    },
  };
}
