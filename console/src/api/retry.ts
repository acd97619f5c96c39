/** What lets a request be sent again: its name, and whether an error leaves open that it was done. */
import { ApiError } from './client';

/** A name for a request that nobody else gives. */
export function newKey(): string {
  // `randomUUID` is missing where the page came over plain HTTP from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Codes of errors after which a request may have been done; any other one refuses it before it begins. */
const OUTCOME_UNKNOWN = new Set(['NETWORK', 'UNAVAILABLE', 'INTERNAL_SERVER_ERROR', 'UNKNOWN']);

/** Whether a request that ended with this error may have been done nevertheless. */
export const mayBeDone = (error: unknown): boolean =>
  !(error instanceof ApiError) || OUTCOME_UNKNOWN.has(error.code);

/** What is said of an error after which the outcome is unknown. */
export const withUnknownOutcome = (
  message: string,
  advice = 'Whether it was done is not known: press again, it is done once at most.',
): string => `${message}. ${advice}`;
