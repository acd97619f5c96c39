/** What an operation brings along from its door into the pipeline. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionArgs } from 'graphql';
import type { Actor } from '../../access/actor.ts';
import type { Context } from '../../graphql/builder.ts';

export interface OperationOrigin {
  /** Where the door has asked already who calls. */
  readonly actor?: Actor | undefined;
  /** The HTTP request that it is; none over WebSocket. */
  readonly req?: IncomingMessage | undefined;
  /** Where the answer goes, when it is a stream over HTTP. */
  readonly res?: ServerResponse | undefined;
}

/** The context of an operation, for the plugins that ask how it came. */
export type OperationContext = Context & Pick<OperationOrigin, 'req' | 'res'>;

/** An operation as it is executed. */
export interface Operation extends ExecutionArgs {
  readonly contextValue: OperationContext;
}
