/**
 * Streams and sockets, which outlive a request: closed when the credential expires or is revoked. One query per second
 * checks all of a node's sessions; while the database is away nothing new is delivered anyway.
 */
import type { Logger } from 'pino';
import { wallNow } from '../core/values/instant.ts';
import { findEndedKeys } from '../store/access/apiKeys.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { Actor } from './actor.ts';
import { ended } from './keyCache.ts';

const POLL_INTERVAL_MS = 1000;
const NOTHING_TO_STOP = () => {};

export interface Sessions {
  /** Calls back once, with a message, when the actor's rights end. Returns a function that stops watching. */
  watch(actor: Actor, onEnd: (why: string) => void): () => void;
  /** Checks now instead of within a second. */
  checkNow(): void;
  stop(): void;
}

interface Session {
  readonly actor: Actor;
  readonly onEnd: (why: string) => void;
}

export function createSessions(db: Queries, log: Logger): Sessions {
  const open = new Set<Session>();
  let checking = false;

  async function check(): Promise<void> {
    if (checking || open.size === 0) return;
    checking = true;
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
      log.warn({ error }, 'cannot check the keys of open streams; trying again');
    } finally {
      checking = false;
    }
  }

  const timer = setInterval(() => void check(), POLL_INTERVAL_MS).unref();
  return {
    watch(actor, onEnd) {
      if (actor.credential.type === 'NONE') return NOTHING_TO_STOP;
      const session = { actor, onEnd };
      open.add(session);
      return () => open.delete(session);
    },
    checkNow: () => void check(),
    stop: () => clearInterval(timer),
  };
}

function endOf({ name, credential }: Actor, gone: ReadonlyMap<string, 'REVOKED' | 'EXPIRED'>): string | null {
  if (credential.type === 'KEY') {
    const how = gone.get(credential.id);
    return how ? ended(name, how) : null;
  }
  const expired = credential.type === 'TOKEN' && credential.expiresAt <= wallNow();
  return expired ? `The token of ${name} has expired: connect again with a new one` : null;
}
