/**
 * Who asks: one answer for HTTP, SSE and WebSocket. Serin runs open, where everybody may do everything, or every
 * caller brings an API key or a token of the issuer.
 */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { type Actor, createActor, openActor, SERIN } from './actor.ts';
import { looksLikeKey } from './apiKey.ts';
import { createKeyCache } from './keyCache.ts';
import { createKey, type KeyAnswer, type KeyRequest, revokeKey } from './keys.ts';
import { createSessions } from './sessions.ts';
import { createTokenReader, type TokenSettings } from './token.ts';
import { Unauthenticated } from './unauthenticated.ts';

/** What to do where nobody has a key yet. */
export const FIRST_KEY = 'make the first one with `npx serin keys create --role admin --name NAME`';

export interface AccessSettings {
  /** Whether API keys are taken. */
  readonly keys: boolean;
  /** Whose tokens are taken; null when nobody's. */
  readonly tokens: TokenSettings | null;
  /** Whether a bot may roll back, pause and cancel the deployments of its strategies. */
  readonly botsReduceRisk: boolean;
}

/** What a caller brings along. */
export interface Credentials {
  /** `Bearer …`, as it came. */
  readonly authorization: string | null;
  /** Who the caller says to be: believed only where Serin runs open. */
  readonly name: string | null;
}

export interface Access {
  /** Whether nothing is asked of callers. */
  readonly open: boolean;
  /** Who asks. Throws {@link Unauthenticated}. */
  identify(credentials: Credentials): Promise<Actor>;
  /** Calls back once, with what to tell, when an actor's rights have ended. Answers how to stop watching. */
  watch(actor: Actor, onEnd: (why: string) => void): () => void;
  createKey(actor: Actor, request: KeyRequest): Promise<KeyAnswer>;
  /** Revokes a key, and ends what it holds open. */
  revokeKey(actor: Actor, idOrName: string): Promise<KeyAnswer>;
  stop(): void;
}

export function createAccess(db: PostgresJsDatabase, log: Logger, settings: AccessSettings): Access {
  const ring = createKeyCache(db, log);
  const sessions = createSessions(db, log);
  const open = isOpen(settings);
  const ofToken = settings.tokens && createTokenReader(settings.tokens, settings.botsReduceRisk);

  async function ofKey(key: string): Promise<Actor> {
    const { id, name, role, strategies } = await ring.check(key);
    const reducesRisk = settings.botsReduceRisk;
    return createActor(name, { role, strategies, reducesRisk }, { type: 'KEY', id });
  }

  return {
    open,
    async identify({ authorization, name }) {
      if (open) return openActor(ownName(name));
      const token = bearerOf(authorization);
      if (settings.keys && looksLikeKey(token)) return ofKey(token);
      if (ofToken) return ofToken(token);
      throw new Unauthenticated('This is no API key: a key begins with serin_');
    },
    watch: sessions.watch,
    createKey: (actor, request) => createKey(db, actor, request),
    async revokeKey(actor, idOrName) {
      const answer = await revokeKey(db, actor, idOrName);
      ring.forget();
      sessions.look();
      return answer;
    },
    stop: sessions.stop,
  };
}

/** Whether nothing is asked of callers. */
export const isOpen = ({ keys, tokens }: AccessSettings): boolean => !keys && tokens === null;

function bearerOf(authorization: string | null): string {
  if (authorization === null) {
    throw new Unauthenticated(
      'Serin asks who you are: send the header "Authorization: Bearer …" with your key or token',
    );
  }
  const token = /^Bearer +(\S{1,16384})$/i.exec(authorization.trim())?.[1];
  if (token === undefined)
    throw new Unauthenticated('Authorization must be "Bearer …" with your key or token');
  return token;
}

/** Serin runs open: callers say who they are, for the record. Nobody is Serin itself. */
function ownName(given: string | null): string {
  return given !== null && /^[\w.:@/ -]{1,100}$/.test(given) && given !== SERIN.name ? given : 'anonymous';
}
