/**
 * The rule of two people: one person asks for an act, another approves it within a day. Persons are distinguished by their
 * subject, never by the name that an act is recorded under.
 */
import type { SerinInstant } from '../values/instant.ts';

/** How long a request is valid. */
export const APPROVAL_HOURS = 24;

/** A caller, as needed to distinguish two people. */
export interface Person {
  /** The same for all keys and tokens of one person. */
  readonly id: string;
  /** Who made the key over the API, directly or not; null for one that was made on the server, and for a token. */
  readonly madeBy: string | null;
}

/** A request for an act that another person must approve. */
export interface ApprovalRequest {
  /** The name that it is recorded under. */
  readonly by: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Null or absent if the caller was not a known person: its request counts for no one. */
  readonly person?: Person | null | undefined;
}

/** When a request expires, epoch milliseconds. */
export const requestEndsAt = ({ at }: Pick<ApprovalRequest, 'at'>): number => at + APPROVAL_HOURS * 3_600_000;

/** The request as long as it is valid; null otherwise. */
export const validRequest = <R extends ApprovalRequest>(request: R | null, now: SerinInstant): R | null =>
  request && now < requestEndsAt(request) ? request : null;

/** The first person asks, the second one has it done. `why` says why this caller is not the second, and what to do. */
export type SecondPerson = 'ASK' | 'ACT' | { readonly why: string };

/**
 * What a caller's wish means where an act needs two people.
 * @param request the valid request, if any
 * @param person null for a caller that is no known person: it may ask, but two persons are still needed then
 */
export function secondPerson(request: ApprovalRequest | null, person: Person | null): SecondPerson {
  if (!request) return 'ASK';
  if (!person) return { why: NOBODY };
  if (!request.person) return 'ASK';
  if (person.id === request.person.id) return { why: `${request.by} has asked for it already` };
  return areIndependent(person, request.person) ? 'ACT' : { why: ONE_MAKER };
}

const NOBODY =
  'only callers with a person count, which are tokens and keys that were created with a person (serin keys create --person)';
const ONE_MAKER =
  'the keys of both people come from one caller of the API, who could hold both: ' +
  'make one of them on the server with serin keys create, or use tokens';

/** Whoever makes a key over the API has seen it, and could act with it. */
function areIndependent(one: Person, other: Person): boolean {
  if (one.madeBy === other.id || other.madeBy === one.id) return false;
  return one.madeBy === null || one.madeBy !== other.madeBy;
}
