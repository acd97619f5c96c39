/**
 * Authentication for HTTP, SSE and WebSocket. In open mode every caller is ADMIN; otherwise every caller needs an API
 * key or a token of the issuer.
 */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { StoredKey } from '../store/access/apiKeys.ts';
import { type Actor, createActor, foldName, openActor, SERIN } from './actor.ts';
import { looksLikeKey } from './apiKey.ts';
import { createKeyCache } from './keyCache.ts';
import { createKey, type KeyAnswer, type KeyRequest, revokeKey } from './keys.ts';
import { createSessions } from './sessions.ts';
import { createTokenReader, type TokenSettings } from './token.ts';
import { Unauthenticated } from './unauthenticated.ts';

/** Names without credentials whose actors are remembered. */
const MAX_NAMED = 1000;

/** Instruction for creating the first key. */
export const FIRST_KEY = 'create the first key with `npx serin keys create --role admin --name NAME`';

export interface AccessSettings {
  /** Whether API keys are accepted. */
  readonly keys: boolean;
  /** The accepted tokens; null if none are. */
  readonly tokens: TokenSettings | null;
  /** Whether a bot may roll back, pause and cancel the deployments of its strategies. */
  readonly botsReduceRisk: boolean;
}

/** The credentials of a request. */
export interface Credentials {
  /** The `Authorization` header, unchanged. */
  readonly authorization: string | null;
  /** The name that the caller claims; used in open mode only. */
  readonly name: string | null;
}

export interface Access {
  /** Whether callers need no credentials. */
  readonly open: boolean;
  /** The actor of the credentials; not a promise where callers need none. Throws {@link Unauthenticated}. */
  identify(credentials: Credentials): Promise<Actor> | Actor;
  /** Calls back once, with a message, when the actor's rights end. Returns a function that stops watching. */
  watch(actor: Actor, onEnd: (why: string) => void): () => void;
  createKey(actor: Actor, request: KeyRequest): Promise<KeyAnswer>;
  /** Revokes a key and ends its open subscriptions. */
  revokeKey(actor: Actor, idOrName: string): Promise<KeyAnswer>;
  stop(): void;
}

export function createAccess(db: PostgresJsDatabase, log: Logger, settings: AccessSettings): Access {
  const keyCache = createKeyCache(db, log);
  const sessions = createSessions(db, log);
  const open = isOpen(settings);
  const ofToken = settings.tokens && createTokenReader(settings.tokens, settings.botsReduceRisk);

  /** The actor of each key while it is remembered, and of the names that callers claimed last. */
  const ofKeys = new WeakMap<StoredKey['key'], Actor>();
  const named = new LRUCache<string, Actor>({ max: MAX_NAMED });

  async function ofKey(key: string): Promise<Actor> {
    const stored = await keyCache.check(key);
    const actor = ofKeys.get(stored) ?? actorOf(stored);
    ofKeys.set(stored, actor);
    return actor;
  }

  function actorOf(stored: StoredKey['key']): Actor {
    const { id, name, role, strategies, sides, person, madeBy, createdAt } = stored;
    const reducesRisk = settings.botsReduceRisk;
    return createActor(
      name,
      { role, strategies, reducesRisk, sides },
      {
        credential: { type: 'KEY', id, createdAt },
        subject: person === null ? `key|${id}` : `person|${person}`,
        person: person === null ? null : { id: person, madeBy },
      },
    );
  }

  function ofName(name: string): Actor {
    const actor = named.get(name) ?? openActor(name);
    named.set(name, actor);
    return actor;
  }

  return {
    open,
    identify({ authorization, name }) {
      if (open) return ofName(claimedName(name));
      const token = bearerOf(authorization);
      if (settings.keys && looksLikeKey(token)) return ofKey(token);
      if (ofToken) return ofToken(token);
      throw new Unauthenticated('This is not an API key: a key begins with serin_');
    },
    watch: sessions.watch,
    createKey: (actor, request) => createKey(db, actor, request),
    async revokeKey(actor, idOrName) {
      const answer = await revokeKey(db, actor, idOrName);
      keyCache.forget();
      sessions.checkNow();
      return answer;
    },
    stop: sessions.stop,
  };
}

/** Whether callers need no credentials. */
export const isOpen = ({ keys, tokens }: AccessSettings): boolean => !keys && tokens === null;

function bearerOf(authorization: string | null): string {
  if (authorization === null) {
    throw new Unauthenticated(
      'Credentials are required: send the header "Authorization: Bearer …" with your key or token',
    );
  }
  const token = /^Bearer +(\S{1,16384})$/i.exec(authorization.trim())?.[1];
  if (token === undefined)
    throw new Unauthenticated('Authorization must be "Bearer …" with your key or token');
  return token;
}

/** In open mode the claimed name is recorded; the name of Serin itself is reserved, however it is written. */
function claimedName(name: string | null): string {
  const isName = name !== null && /^[\w.:@/ -]{1,100}$/.test(name) && foldName(name) !== SERIN.name;
  return isName ? name : 'anonymous';
}
