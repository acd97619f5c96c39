/**
 * Every query and mutation is answered within seconds, whatever the database does: an outage or a frozen server costs
 * a caller its patience and the process a bounded number of operations under way. Subscriptions may wait.
 */
import { type ExecutionResult, GraphQLError } from 'graphql';
import { REQUEST_TIMEOUT_MS } from '../../app/execution/transaction.ts';

/** Operations under way at once; beyond, callers are sent away at once. */
const MAX_UNDER_WAY = 4096;

type Answer = Promise<ExecutionResult> | ExecutionResult;

/** Bounds how long an operation may take, and how many may take so long. */
export function createOperationTimeout(): (execute: () => Answer) => Answer {
  let underWay = 0;
  return (execute) => {
    if (underWay >= MAX_UNDER_WAY) return unavailable('Too much is waiting for the database');
    const answer = execute();
    if (!(answer instanceof Promise)) return answer;
    underWay += 1;
    return inTime(
      answer.finally(() => {
        underWay -= 1;
      }),
    );
  };
}

async function inTime(answer: Promise<ExecutionResult>): Promise<ExecutionResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<ExecutionResult>((resolve) => {
    const message = 'The database did not answer in time: the outcome is not known';
    timer = setTimeout(() => resolve(unavailable(message)), REQUEST_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(what: string): ExecutionResult {
  const message = `${what}. Try again, with the same idempotencyKey where there is one`;
  return { errors: [new GraphQLError(message, { extensions: { code: 'UNAVAILABLE' } })] };
}
