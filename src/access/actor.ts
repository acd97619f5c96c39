/** The actor: an authenticated caller with its rights. Every way to authenticate returns one; permissions read only it. */
import { covers, type Scope } from '../store/access/strategyScope.ts';

/** From least to most: each role includes the rights of the roles before it. */
export const ROLES = ['VIEWER', 'BOT', 'OPERATOR', 'ADMIN'] as const;
export type Role = (typeof ROLES)[number];

export interface Rights {
  readonly role: Role;
  /** The strategies that the actor can see; all others are invisible to it. */
  readonly strategies: Scope;
  /** Whether a bot may also run the commands that only reduce risk: roll back, pause, cancel. */
  readonly reducesRisk: boolean;
}

export interface Actor extends Rights {
  /** The name recorded for its actions: the name of the key, or the subject of the token. */
  readonly name: string;
  /** Equal for actors with equal rights, which may share results. */
  readonly rightsKey: string;
  readonly credential: Credential;
}

/** The source of an actor's rights, which determines when they end. */
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

/** An actor without credentials: in open mode, or on the command line. */
export const openActor = (name: string): Actor => ({ ...OPEN, name });

/** An anonymous actor with the same rights, which do not end. */
export const withSameRights = (actor: Actor): Actor => ({
  ...actor,
  name: 'anyone',
  credential: { type: 'NONE' },
});

/** The actor of everything that happens automatically. */
export const SERIN: Actor = openActor('serin');

/** Names that Serin records its own acts under, in any case and Unicode form: no key and no token may have them. */
export function isReservedName(name: string): boolean {
  const plain = name.normalize('NFKC').trim().toLowerCase();
  return plain === SERIN.name || plain.startsWith('cli:');
}

/** Whether a strategy, and everything that belongs to it, is visible to this actor. */
export function canSee(actor: Rights, strategyId: string): boolean {
  return covers(actor.strategies, strategyId);
}
