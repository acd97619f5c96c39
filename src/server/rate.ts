/** How often someone may come: counted in the node's memory, evened out over ten seconds. */
import { type ExecutionResult, GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Actor } from '../access/actor.ts';
import type { Arrived } from './arrival.ts';

const WINDOW_SECONDS = 10;

/** Counts one operation. Answers how many seconds to wait, or null when it may go on. */
export type Rate = (caller: string) => Promise<number | null>;

/** @param perSecond 0 for no bound */
export function createRate(perSecond: number): Rate {
  if (perSecond === 0) return async () => null;
  const limiter = new RateLimiterMemory({ points: perSecond * WINDOW_SECONDS, duration: WINDOW_SECONDS });
  return async (caller) => {
    try {
      await limiter.consume(caller);
      return null;
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      return Math.max(1, Math.ceil(refused.msBeforeNext / 1000));
    }
  };
}

/** The refusal of an operation that comes too soon. */
export function rateLimited(whose: string, retryAfterSeconds: number): GraphQLError {
  const message = `Too many operations ${whose}: try again in ${retryAfterSeconds} s`;
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED', retryAfterSeconds } });
}

/** Bounds how often a key or token is used, from whatever addresses: the same over every door. */
export function boundKeys(perSecond: number): Plugin<Arrived> {
  const rate = createRate(perSecond);
  /** Nothing is waited for where there is no key: that is the common case of a Serin that runs open. */
  const refuse = (
    { actor, req }: Arrived,
    stop: (result: ExecutionResult) => void,
  ): Promise<void> | undefined => {
    const caller = callerOf(actor);
    if (caller === null) return undefined;
    return rate(caller).then((wait) => {
      if (wait !== null) stop({ errors: [keyRefusal(wait, req !== undefined)] });
    });
  };
  return {
    onExecute: ({ args, setResultAndStopExecution }) => refuse(args.contextValue, setResultAndStopExecution),
    onSubscribe: ({ args, setResultAndStopExecution }) =>
      refuse(args.contextValue, setResultAndStopExecution),
  };
}

/** Over HTTP it is a status as well. */
function keyRefusal(wait: number, overHttp: boolean): GraphQLError {
  const error = rateLimited('with this key', wait);
  const http = { status: 429, headers: { 'retry-after': String(wait) } };
  return overHttp ? new GraphQLError(error.message, { extensions: { ...error.extensions, http } }) : error;
}

/** What bounds are counted by: the key, or the subject of the token; null where Serin runs open. */
export function callerOf({ credential, name }: Actor): string | null {
  if (credential.type === 'NONE') return null;
  return credential.type === 'KEY' ? `key ${credential.id}` : `token ${name}`;
}
