/**
 * Timeout of queries and mutations: an outage costs callers at most 8 s and the process a bounded number of in-flight
 * operations. Subscriptions may wait longer.
 */
import { type ExecutionResult, GraphQLError } from 'graphql';
import { REQUEST_TIMEOUT_MS } from '../../app/execution/transaction.ts';

/** Most operations in flight; beyond that, operations are refused immediately. */
const MAX_IN_FLIGHT = 4096;

type Answer = Promise<ExecutionResult> | ExecutionResult;

/** Bounds the duration of an operation and the number of operations in flight. `onLate` is called when one took too long. */
export function createOperationTimeout(): (execute: () => Answer, onLate: () => void) => Answer {
  let inFlight = 0;
  return (execute, onLate) => {
    if (inFlight >= MAX_IN_FLIGHT) return unavailable('Too many operations are waiting for the database');
    const answer = execute();
    if (!(answer instanceof Promise)) return answer;
    inFlight += 1;
    return withTimeout(
      answer.finally(() => {
        inFlight -= 1;
      }),
      onLate,
    );
  };
}

async function withTimeout(answer: Promise<ExecutionResult>, onLate: () => void): Promise<ExecutionResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<ExecutionResult>((resolve) => {
    const message = 'The database did not respond in time: the outcome is unknown';
    timer = setTimeout(() => {
      resolve(unavailable(message));
      onLate();
    }, REQUEST_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(what: string): ExecutionResult {
  const message = `${what}. Try again, with the same idempotencyKey if the operation has one`;
  return { errors: [new GraphQLError(message, { extensions: { code: 'UNAVAILABLE' } })] };
}
