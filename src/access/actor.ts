/** Who asks, and with which rights: the answer of every way to authenticate, and all that the rules look at. */
import { covers, type Scope } from '../store/access/strategyScope.ts';

/** From least to most: each may do all that the ones before it may. */
export const ROLES = ['VIEWER', 'BOT', 'OPERATOR', 'ADMIN'] as const;
export type Role = (typeof ROLES)[number];

export interface Rights {
  readonly role: Role;
  /** The strategies it is about; what lies outside is not there for this actor. */
  readonly strategies: Scope;
  /** Whether this bot may also do what only reduces risk: roll back, pause, cancel. */
  readonly reducesRisk: boolean;
}

export interface Actor extends Rights {
  /** What actions are recorded under: the name of a key, or the subject of a token. */
  readonly name: string;
  /** The same for all that have the same rights: they may be given the same answers. */
  readonly rightsKey: string;
  readonly credential: Credential;
}

/** What an actor's rights hang on, and so how they end. */
export type Credential =
  | { readonly type: 'NONE' }
  | { readonly type: 'KEY'; readonly id: string }
  /** `expiresAt`: epoch milliseconds. */
  | { readonly type: 'TOKEN'; readonly expiresAt: number };

export function createActor(name: string, rights: Rights, credential: Credential): Actor {
  const { role, strategies, reducesRisk } = rights;
  const scope = strategies && [...strategies].sort();
  return { name, ...rights, credential, rightsKey: JSON.stringify([role, reducesRisk, scope]) };
}

const OPEN = createActor('', { role: 'ADMIN', strategies: null, reducesRisk: true }, { type: 'NONE' });

/** Someone of whom nothing is asked: Serin runs open, or it is the command line of its own machine. */
export const openActor = (name: string): Actor => ({ ...OPEN, name });

/** Anybody with the same rights as this actor: nobody's name, and nothing that could end. */
export const withSameRights = (actor: Actor): Actor => ({
  ...actor,
  name: 'anyone',
  credential: { type: 'NONE' },
});

/** The actor of what happens by itself. */
export const SERIN: Actor = openActor('serin');

/** Whether a strategy, and all that belongs to it, is there for this actor. */
export function canSee(actor: Rights, strategyId: string): boolean {
  return covers(actor.strategies, strategyId);
}
