/** How often someone may come: counted in the node's memory, evened out over ten seconds. */
import { GraphQLError } from 'graphql';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Actor } from '../../access/actor.ts';
import type { OperationContext } from './operation.ts';

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

/** How often a key or token is used, from whatever addresses: the same over every door. */
export interface KeyRate {
  /** Counts one operation. Answers why it is refused, or null; at once where there is no key, as in a Serin that runs open. */
  refuse(arrived: OperationContext): Promise<GraphQLError | null> | null;
}

export function createKeyRate(perSecond: number): KeyRate {
  const rate = createRate(perSecond);
  return {
    refuse({ actor, req }) {
      const caller = callerOf(actor);
      if (caller === null) return null;
      return rate(caller).then((wait) => (wait === null ? null : keyRefusal(wait, req !== undefined)));
    },
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
