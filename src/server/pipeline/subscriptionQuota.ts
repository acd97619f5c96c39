/** Quota of open subscriptions per key or token on a node, from any address and over any transport. */
import type { ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Actor } from '../../access/actor.ts';
import type { OperationContext } from './operation.ts';
import { callerOf } from './rateLimits.ts';

export interface SubscriptionQuota {
  /** Takes a slot. Returns the function that releases it; null if the actor is over its quota. */
  take(actor: Actor): (() => void) | null;
  /** The error for a caller over quota. */
  refusal(): GraphQLError;
}

const NOTHING_TO_RELEASE = () => {};

export function createSubscriptionQuota(perKey: number): SubscriptionQuota {
  const taken = new Map<string, number>();
  return {
    take(actor) {
      const caller = callerOf(actor);
      if (caller === null) return NOTHING_TO_RELEASE;
      const held = taken.get(caller) ?? 0;
      if (held >= perKey) return null;
      taken.set(caller, held + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = (taken.get(caller) ?? 1) - 1;
        if (left > 0) taken.set(caller, left);
        else taken.delete(caller);
      };
    },
    refusal() {
      const message = `At most ${perKey} subscriptions at a time with this key: complete some first`;
      return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED' } });
    },
  };
}

/**
 * Takes a slot for every subscription until it ends or its consumer leaves. Also handles a caller that disconnects
 * before its SSE stream begins: no client would read or end that stream.
 */
export function boundSubscriptions(quota: SubscriptionQuota): Plugin<OperationContext> {
  return {
    onSubscribe({ args, setResultAndStopExecution }) {
      const { actor, res } = args.contextValue;
      const release = quota.take(actor);
      if (!release) {
        setResultAndStopExecution({ errors: [quota.refusal()] });
        return undefined;
      }
      return {
        onSubscribeError: release,
        onSubscribeResult({ result }) {
          if (!isAsyncIterable(result)) {
            release();
            return undefined;
          }
          whenClosed(res, () => {
            release();
            void result[Symbol.asyncIterator]().return?.();
          });
          return { onEnd: release };
        },
      };
    },
  };
}

/** Calls back when the connection of a response is closed; immediately if it already is. */
function whenClosed(response: ServerResponse | undefined, call: () => void): void {
  if (response?.destroyed) call();
  else response?.once('close', call);
}
