/**
 * Authenticates callers before their request is processed, and ends their subscriptions when their rights end. HTTP and
 * SSE use the `Authorization` header; a WebSocket uses the header of its upgrade or `connection_init`.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { type ExecutionResult, GraphQLError } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Access, Credentials } from '../../access/access.ts';
import type { Actor } from '../../access/actor.ts';
import { Unauthenticated } from '../../access/unauthenticated.ts';
import type { Context } from '../../graphql/builder.ts';
import { presentError, UNAUTHENTICATED } from './errors.ts';

/** The actors of authenticated requests. */
export interface Callers {
  actorOf(request: Request): Actor;
  readonly plugin: Plugin<Context>;
}

/** Refuses unauthenticated requests with HTTP 401 before the body is read. */
export function identifyCallers(access: Access, log: Logger): Callers {
  const actors = new WeakMap<Request, Actor>();
  return {
    actorOf(request) {
      const actor = actors.get(request);
      if (!actor) throw new Unauthenticated('This request was not authenticated');
      return actor;
    },
    plugin: {
      async onRequest({ request, endResponse, fetchAPI }) {
        try {
          const { headers } = request;
          const credentials = {
            authorization: headers.get('authorization'),
            name: headers.get('x-serin-actor'),
          };
          actors.set(request, await access.identify(credentials));
        } catch (error) {
          const shown = presentError(error, log);
          const unknown = error instanceof Unauthenticated;
          const init = {
            status: unknown ? 401 : shown.extensions.code === 'UNAVAILABLE' ? 503 : 500,
            headers: {
              'content-type': 'application/json; charset=utf-8',
              ...(unknown ? { 'www-authenticate': 'Bearer realm="serin"' } : {}),
            },
          };
          endResponse(new fetchAPI.Response(JSON.stringify({ errors: [shown] }), init));
        }
      },
    },
  };
}

/** The credentials of a WebSocket: `connection_init` takes precedence over the headers of the upgrade. */
export function readCredentials(
  params: Readonly<Record<string, unknown>> | undefined,
  headers: IncomingHttpHeaders,
): Credentials {
  const parameter = (...names: readonly string[]) => {
    const entries = Object.entries(params ?? {});
    const found = entries.find(
      ([name, value]) => names.includes(name.toLowerCase()) && typeof value === 'string',
    );
    return found ? String(found[1]) : null;
  };
  const header = headers['x-serin-actor'];
  return {
    authorization: parameter('authorization') ?? headers.authorization ?? null,
    name: parameter('actor', 'x-serin-actor') ?? (typeof header === 'string' ? header : null),
  };
}

/** Ends a subscription with an error when its actor's rights end. */
export function endWithRights(access: Access): Plugin<Context> {
  return {
    onSubscribe({ args }) {
      const { actor } = args.contextValue;
      return {
        onSubscribeResult({ result, setResult }) {
          if (isAsyncIterable(result)) setResult(untilEnd(access, actor, result));
        },
      };
    },
  };
}

/** Passes results through, and adds a last one with the reason when the rights end. */
export function untilEnd(
  access: Pick<Access, 'watch'>,
  actor: Actor,
  results: AsyncIterable<ExecutionResult>,
): AsyncIterableIterator<ExecutionResult> {
  const source = results[Symbol.asyncIterator]();
  let over = false;
  let ended: string | null = null;
  let wake: () => void = () => {};
  const unwatch = access.watch(actor, (why) => {
    ended = why;
    wake();
  });
  const close = async (): Promise<IteratorResult<ExecutionResult>> => {
    over = true;
    unwatch();
    await source.return?.();
    return { done: true, value: undefined };
  };
  const last = async (why: string): Promise<IteratorResult<ExecutionResult>> => {
    await close();
    const error = new GraphQLError(why, { extensions: { code: UNAUTHENTICATED } });
    return { done: false, value: { errors: [error] } };
  };
  return {
    next() {
      if (over) return Promise.resolve({ done: true, value: undefined });
      if (ended !== null) return last(ended);
      // One pending promise at a time, so that memory does not grow with the number of results.
      return new Promise((resolve, reject) => {
        wake = () => resolve(last(ended ?? ''));
        source.next().then(
          (next) => {
            if (next.done) unwatch();
            resolve(next);
          },
          (error) => {
            // Nobody returns an iterator that has failed.
            unwatch();
            reject(error);
          },
        );
      });
    },
    return: close,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
