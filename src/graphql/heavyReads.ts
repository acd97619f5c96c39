/** Reads of a whole history: one of a caller at a time, and none for a caller that has left. */
import { GraphQLError } from 'graphql';
import { TooManyHeavyReads } from '../app/execution/heavyReads.ts';
import type { Context } from './builder.ts';

/** Runs a heavy read in its caller's turn. Throws `RATE_LIMITED` if too many of the caller's wait. */
export async function heavily<T>({ app, actor, presence }: Context, read: () => Promise<T>): Promise<T> {
  try {
    return await app.heavyReads.run(actor.subject, presence.signal, read);
  } catch (error) {
    if (!(error instanceof TooManyHeavyReads)) throw error;
    throw new GraphQLError(error.message, { extensions: { code: 'RATE_LIMITED' } });
  }
}
