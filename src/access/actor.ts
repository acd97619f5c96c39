/** The actor: an authenticated caller with its rights. Every way to authenticate returns one; permissions read only it. */
import type { Person } from '../core/lifecycle/secondPerson.ts';
import type { WallInstant } from '../core/values/instant.ts';
import type { Side } from '../core/values/side.ts';
import { covers, type Scope } from '../store/access/strategyScope.ts';

/** From least to most: each role includes the rights of the roles before it. */
export const ROLES = ['VIEWER', 'BOT', 'OPERATOR', 'ADMIN'] as const;
export type Role = (typeof ROLES)[number];

/** The sides that a caller may speak for; null is both. */
export type Sides = readonly Side[] | null;

export interface Rights {
  readonly role: Role;
  /** The strategies that the actor can see; all others are invisible to it. */
  readonly strategies: Scope;
  /** Whether a bot may also run the commands that only reduce risk: roll back, pause, cancel. */
  readonly reducesRisk: boolean;
  /** The sides that it may report and acknowledge for. */
  readonly sides: Sides;
}

/** Who an actor is, however it is named. */
export interface Identity {
  readonly credential: Credential;
  /**
   * The owner of its stored answers: a person, a key without one, or the issuer and subject of a token. It contains `|`,
   * which no name of a key does.
   */
  readonly subject: string;
  /** The actor as a person, where acts need two; null if it is no known person. */
  readonly person: Person | null;
}

export interface Actor extends Rights, Identity {
  /** The name recorded for its actions: the name of the key, or the subject of the token. */
  readonly name: string;
  /** Equal for actors with equal rights, which may share results. */
  readonly rightsKey: string;
}

/** The source of an actor's rights, which determines when they end. */
export type Credential =
  | { readonly type: 'NONE' }
  | { readonly type: 'KEY'; readonly id: string; readonly createdAt: WallInstant }
  | { readonly type: 'TOKEN'; readonly expiresAt: WallInstant };

export function createActor(name: string, rights: Rights, identity: Identity): Actor {
  const { role, strategies, reducesRisk, sides } = rights;
  const scope = strategies && [...strategies].sort();
  return { name, ...rights, ...identity, rightsKey: JSON.stringify([role, reducesRisk, scope, sides]) };
}

const ALL_RIGHTS: Rights = { role: 'ADMIN', strategies: null, reducesRisk: true, sides: null };

/** An actor without credentials: in open mode, or on the command line. Its person is unknown. */
export const openActor = (name: string): Actor =>
  createActor(name, ALL_RIGHTS, { credential: { type: 'NONE' }, subject: `open|${name}`, person: null });

/** The same person, however its name is written: names and subjects are compared by this form. */
export const foldName = (name: string): string => name.normalize('NFKC').trim().toLowerCase();

/** The maker of what an actor creates over the API; null on the command line of the server and in open mode. */
export function makerOf({ credential, person, subject }: Identity): string | null {
  if (credential.type === 'NONE') return null;
  return person?.madeBy ?? person?.id ?? subject;
}

/** An anonymous actor with the same rights, which do not end. */
export const withSameRights = (actor: Actor): Actor => ({
  ...actor,
  name: 'anyone',
  subject: 'open|anyone',
  person: null,
  credential: { type: 'NONE' },
});

/** The actor of everything that happens automatically. */
export const SERIN: Actor = openActor('serin');

/** Names that Serin records its own acts under, in any case and Unicode form: no key and no token may have them. */
export function isReservedName(name: string): boolean {
  const plain = foldName(name);
  return plain === SERIN.name || plain.startsWith('cli:');
}

/** Whether an actor may report and acknowledge for a side. */
export const speaksFor = ({ sides }: Rights, side: Side): boolean => sides?.includes(side) ?? true;

/** Whether a strategy, and everything that belongs to it, is visible to this actor. */
export function canSee(actor: Rights, strategyId: string): boolean {
  return covers(actor.strategies, strategyId);
}
