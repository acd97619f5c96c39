/**
 * Whether the caller still waits for an operation: its signal is aborted when the caller's connection closes, or when the
 * caller has got a timeout error. Long reads end then instead of running unseen.
 */
import type { CallerPresence } from '../../graphql/builder.ts';
import type { Connection, OperationContext } from './operation.ts';

/** A caller that never leaves. */
export const ALWAYS_PRESENT: CallerPresence = { signal: new AbortController().signal };

/** The operations in flight of each open connection: one listener per connection, however many there are. */
const waiting = new WeakMap<Connection, Set<Presence>>();

/** Watches the caller of an operation until it has ended. */
export function watchCaller({ req, connection = req?.socket }: OperationContext): Presence {
  const operations = connection && (waiting.get(connection) ?? watchConnection(connection));
  const presence = new Presence(operations);
  operations?.add(presence);
  return presence;
}

function watchConnection(connection: Connection): Set<Presence> {
  const operations = new Set<Presence>();
  waiting.set(connection, operations);
  connection.once('close', () => {
    for (const presence of operations) presence.leave('the caller has disconnected');
  });
  return operations;
}

/** Its signal is made when it is asked for: few operations look at it, and making one takes 20 us. */
class Presence implements CallerPresence {
  readonly #operations: Set<Presence> | undefined;
  #controller: AbortController | null = null;
  #left: Error | null = null;

  /** @param operations those of its connection, if that can be closed */
  constructor(operations: Set<Presence> | undefined) {
    this.#operations = operations;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#left) this.#controller.abort(this.#left);
    return this.#controller.signal;
  }

  /** The caller has left. */
  leave(why = 'the caller of this operation has left'): void {
    this.#left ??= new Error(why);
    this.#controller?.abort(this.#left);
  }

  /** The operation has ended. */
  end(): void {
    this.#operations?.delete(this);
  }
}
