/** Rate limits, counted in the node's memory over windows of ten seconds. */
import { GraphQLError } from 'graphql';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Actor } from '../../access/actor.ts';
import type { OperationContext } from './operation.ts';

const WINDOW_SECONDS = 10;

/** Counts one operation. Resolves to the seconds to wait, or null if it may proceed. */
export type Rate = (caller: string) => Promise<number | null>;

/** @param perSecond 0 switches the limit off */
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

/** The error for an operation beyond the rate. */
export function rateLimited(source: string, retryAfterSeconds: number): GraphQLError {
  const message = `Too many operations ${source}: try again in ${retryAfterSeconds} s`;
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED', retryAfterSeconds } });
}

/** The rate of a key or token, from any address and over any transport. */
export interface KeyRate {
  /** Counts one operation. The error that refuses it, or null; not a promise if there is no key. */
  refuse(context: Pick<OperationContext, 'actor' | 'req'>): Promise<GraphQLError | null> | null;
}

export function createKeyRate(perSecond: number): KeyRate {
  const rate = createRate(perSecond);
  return {
    refuse({ actor, req }) {
      const caller = callerOf(actor);
      if (caller === null) return null;
      return rate(caller).then((wait) =>
        wait === null ? null : limitRefusal('with this key', wait, req !== undefined),
      );
    },
  };
}

/** The same; over HTTP it also sets the status. */
export function limitRefusal(source: string, wait: number, overHttp: boolean): GraphQLError {
  const error = rateLimited(source, wait);
  const http = { status: 429, headers: { 'retry-after': String(wait) } };
  return overHttp ? new GraphQLError(error.message, { extensions: { ...error.extensions, http } }) : error;
}

/** The id that limits are counted by: the key, or the subject of the token; null in open mode. */
export function callerOf({ credential, name }: Actor): string | null {
  if (credential.type === 'NONE') return null;
  return credential.type === 'KEY' ? `key ${credential.id}` : `token ${name}`;
}
