/** How many subscriptions one key or token may hold open on a node, from whatever addresses and over every door. */
import type { ServerResponse } from 'node:http';
import { GraphQLError } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Actor } from '../../access/actor.ts';
import type { OperationContext } from './operation.ts';
import { callerOf } from './rateLimits.ts';

export interface SubscriptionQuota {
  /** Takes a place. Answers how to give it back, once; null when the actor's key has no place left. */
  take(actor: Actor): (() => void) | null;
  /** What the caller is told who got none. */
  refusal(): GraphQLError;
}

export function createSubscriptionQuota(perKey: number): SubscriptionQuota {
  const taken = new Map<string, number>();
  return {
    take(actor) {
      const caller = callerOf(actor);
      if (caller === null) return () => {};
      const held = taken.get(caller) ?? 0;
      if (held >= perKey) return null;
      taken.set(caller, held + 1);
      let given = false;
      return () => {
        if (given) return;
        given = true;
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
 * A place for every subscription that the pipeline runs, until it ends or its consumer leaves. A caller that is gone
 * before its SSE stream begins is looked for: that stream nobody would ever read, nor end.
 */
export function boundSubscriptions(quota: SubscriptionQuota): Plugin<OperationContext> {
  return {
    onSubscribe({ args, setResultAndStopExecution }) {
      const { actor, res } = args.contextValue;
      const leave = quota.take(actor);
      if (!leave) {
        setResultAndStopExecution({ errors: [quota.refusal()] });
        return undefined;
      }
      return {
        onSubscribeError: leave,
        onSubscribeResult({ result }) {
          if (!isAsyncIterable(result)) {
            leave();
            return undefined;
          }
          whenClosed(res, () => {
            leave();
            void result[Symbol.asyncIterator]().return?.();
          });
          return { onEnd: leave };
        },
      };
    },
  };
}

/** Calls when an answer reaches nobody any more: later, or now. */
function whenClosed(answer: ServerResponse | undefined, call: () => void): void {
  if (answer?.destroyed) call();
  else answer?.once('close', call);
}
