/**
 * What lives longer than a request: streams and sockets, each ended when what its rights hang on is no longer good.
 * One look at the database a second serves all of a node; while the database is away nothing new is delivered anyway.
 */
import type { Logger } from 'pino';
import { findEndedKeys } from '../store/access/apiKeys.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { Actor } from './actor.ts';
import { ended } from './keyCache.ts';

const POLL_INTERVAL_MS = 1000;

export interface Sessions {
  /** Calls back once, with what to tell, when the actor's rights have ended. Answers how to stop watching. */
  watch(actor: Actor, onEnd: (why: string) => void): () => void;
  /** Looks now instead of within a second. */
  look(): void;
  stop(): void;
}

interface Session {
  readonly actor: Actor;
  readonly onEnd: (why: string) => void;
}

export function createSessions(db: Queries, log: Logger): Sessions {
  const open = new Set<Session>();
  let looking = false;

  async function look(): Promise<void> {
    if (looking || open.size === 0) return;
    looking = true;
    try {
      const ids = new Set(
        [...open].flatMap(({ actor: { credential } }) => (credential.type === 'KEY' ? [credential.id] : [])),
      );
      const gone = ids.size > 0 ? await findEndedKeys(db, [...ids]) : new Map<string, never>();
      for (const session of open) {
        const why = endOf(session.actor, gone);
        if (why === null) continue;
        open.delete(session);
        session.onEnd(why);
      }
    } catch (error) {
      log.warn({ error }, 'the keys of open streams cannot be looked at; trying again');
    } finally {
      looking = false;
    }
  }

  const timer = setInterval(() => void look(), POLL_INTERVAL_MS).unref();
  return {
    watch(actor, onEnd) {
      if (actor.credential.type === 'NONE') return () => {};
      const session = { actor, onEnd };
      open.add(session);
      return () => open.delete(session);
    },
    look: () => void look(),
    stop: () => clearInterval(timer),
  };
}

function endOf({ name, credential }: Actor, gone: ReadonlyMap<string, 'REVOKED' | 'EXPIRED'>): string | null {
  if (credential.type === 'KEY') {
    const how = gone.get(credential.id);
    return how ? ended(name, how) : null;
  }
  const over = credential.type === 'TOKEN' && credential.expiresAt <= Date.now();
  return over ? `The token of ${name} has expired: come again with a new one` : null;
}
