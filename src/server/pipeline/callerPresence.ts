/**
 * Whether the caller still waits for an operation: its signal is aborted when the caller's connection closes, or when the
 * caller has got a timeout error. Long reads end then instead of running unseen.
 */
import type { Connection, OperationContext } from './operation.ts';

/** A signal that is never aborted. */
export const NEVER: AbortSignal = new AbortController().signal;

/** The operations in flight of each open connection: one listener per connection, however many there are. */
const waiting = new WeakMap<Connection, Set<AbortController>>();

export interface Presence {
  readonly signal: AbortSignal;
  /** The caller has left. */
  leave(): void;
  /** The operation has ended. */
  end(): void;
}

/** Watches the caller of an operation until it has ended. */
export function watchCaller({ req, connection = req?.socket }: OperationContext): Presence {
  const controller = new AbortController();
  const leave = () => controller.abort(new Error('the caller of this operation has left'));
  if (!connection) return { signal: controller.signal, leave, end: () => {} };
  const operations = waiting.get(connection) ?? watchConnection(connection);
  operations.add(controller);
  return { signal: controller.signal, leave, end: () => operations.delete(controller) };
}

function watchConnection(connection: Connection): Set<AbortController> {
  const operations = new Set<AbortController>();
  waiting.set(connection, operations);
  connection.once('close', () => {
    for (const controller of operations) controller.abort(new Error('the caller has disconnected'));
  });
  return operations;
}
