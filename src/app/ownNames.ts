/**
 * Ids of deployments are common to all strategies. A caller with limited strategies chooses among ids that only such
 * callers can have taken, so that no answer tells which ids others use.
 */
import type { Actor } from './context.ts';

/** Between the name of a strategy and the rest of an id in the namespace of that strategy. No name contains it. */
const SEPARATOR = '~';
/** As Serin makes them, and too many to be guessed. */
const RANDOM_ID = /^dep_[0-9a-f]{20}$/;

/** Why the caller may not give a deployment this id, as a message after the field's name; null if it may. */
export function idViolation(
  actor: Actor,
  { id, strategyId }: { readonly id: string; readonly strategyId: string },
): string | null {
  const [owner, ...rest] = id.split(SEPARATOR);
  if (rest.length > 0) {
    if (owner === strategyId && rest.length === 1 && rest[0] !== '') return null;
    return `must be ${strategyId}${SEPARATOR} and a name of your choosing where it contains a ${SEPARATOR}, got ${id}`;
  }
  if (actor.strategies === null || RANDOM_ID.test(id)) return null;
  return (
    `must begin with ${strategyId}${SEPARATOR} because your strategies are limited, ` +
    `such as ${strategyId}${SEPARATOR}42; or leave it out`
  );
}
