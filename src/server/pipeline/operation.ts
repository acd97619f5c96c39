/** An operation together with the transport it came over. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionArgs } from 'graphql';
import type { Actor } from '../../access/actor.ts';
import type { CallerPresence, Context } from '../../graphql/builder.ts';

/** What tells that a connection is closed: a TCP socket, or a WebSocket. */
export interface Connection {
  once(event: 'close', call: () => void): unknown;
}

export interface OperationOrigin {
  /** The actor, if the transport has authenticated the caller already. */
  readonly actor?: Actor | undefined;
  /** The HTTP request; undefined over WebSocket. */
  readonly req?: IncomingMessage | undefined;
  /** The connection of the caller, if it is not that of `req`. */
  readonly connection?: Connection | undefined;
  /** The HTTP response, for streams over HTTP. */
  readonly res?: ServerResponse | undefined;
  /** Characters of the message or body that asked, which is kept as long as the operation runs. */
  readonly characters?: number | undefined;
}

/** The context of one operation, for plugins that need its transport. */
export type OperationContext = Context &
  Pick<OperationOrigin, 'req' | 'res' | 'connection' | 'characters'> & {
    /** Its caller, once the operation runs. */
    presence: CallerPresence;
  };

/** An operation as it is executed. */
export interface Operation extends ExecutionArgs {
  readonly contextValue: OperationContext;
}
