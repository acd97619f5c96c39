/**
 * Quota of open subscriptions per key or token on a node, from any address and over any transport: their number, and the
 * memory of what they were asked with, which is kept until they end.
 */
import type { ServerResponse } from 'node:http';
import { type DocumentNode, type ExecutionArgs, GraphQLError } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Actor } from '../../access/actor.ts';
import { bytesOfDocument } from './documentCache.ts';
import type { OperationContext } from './operation.ts';
import { callerOf } from './rateLimits.ts';

/** What a subscription was asked with. */
export interface Asked {
  readonly document: DocumentNode;
  /** Characters of the message or request. */
  readonly characters: number;
}

export interface SubscriptionQuota {
  /** Takes a slot. Returns the function that releases it, or the error for a caller over its quota. */
  take(actor: Actor, asked: Asked): (() => void) | GraphQLError;
}

/** Bytes that a caller's subscriptions may keep, for each that it may have, and whatever their number. */
const BYTES_OF_ONE = 10_000;
const LEAST_BYTES = 20_000_000;
/** What is asked is kept as text and as values. */
const BYTES_OF_CHARACTER = 2;

/** What the subscriptions of a caller keep: each parsed document once. */
interface Held {
  count: number;
  bytes: number;
  readonly documents: Map<DocumentNode, number>;
}

const NOTHING_TO_RELEASE = () => {};

export function createSubscriptionQuota(perKey: number): SubscriptionQuota {
  const maxBytes = Math.max(LEAST_BYTES, perKey * BYTES_OF_ONE);
  const callers = new Map<string, Held>();

  function release(caller: string, held: Held, bytes: number, document: DocumentNode): void {
    held.count -= 1;
    held.bytes -= bytes;
    const others = (held.documents.get(document) ?? 1) - 1;
    if (others > 0) held.documents.set(document, others);
    else {
      held.documents.delete(document);
      held.bytes -= bytesOfDocument(document);
    }
    if (held.count === 0) callers.delete(caller);
  }

  return {
    take(actor, { document, characters }) {
      const caller = callerOf(actor);
      if (caller === null) return NOTHING_TO_RELEASE;
      const held: Held = callers.get(caller) ?? { count: 0, bytes: 0, documents: new Map() };
      if (held.count >= perKey) return refusal(`${perKey} subscriptions at a time`);
      const own = BYTES_OF_CHARACTER * characters;
      const known = held.documents.get(document) ?? 0;
      const more = own + (known > 0 ? 0 : bytesOfDocument(document));
      if (held.bytes + more > maxBytes)
        return refusal(`${maxBytes / 1_000_000} MB of subscriptions at a time`);
      callers.set(caller, held);
      held.count += 1;
      held.bytes += more;
      held.documents.set(document, known + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        release(caller, held, own, document);
      };
    },
  };
}

function refusal(atMost: string): GraphQLError {
  const message = `At most ${atMost} with this key: complete some first`;
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED' } });
}

/** Characters of an operation that came in an address. */
const charactersOf = ({ document, variableValues }: ExecutionArgs): number =>
  (document.loc?.source.body.length ?? 0) + JSON.stringify(variableValues ?? null).length;

/**
 * Takes a slot for every subscription until it ends or its consumer leaves. Also handles a caller that disconnects
 * before its SSE stream begins: no client would read or end that stream.
 */
export function boundSubscriptions(quota: SubscriptionQuota): Plugin<OperationContext> {
  return {
    onSubscribe({ args, setResultAndStopExecution }) {
      const { actor, res, characters = charactersOf(args) } = args.contextValue;
      const release = quota.take(actor, { document: args.document, characters });
      if (release instanceof GraphQLError) {
        setResultAndStopExecution({ errors: [release] });
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
