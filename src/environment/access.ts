/** Environment variables of authentication: API keys, tokens of an issuer, or open mode. */
import { z } from 'zod';
import type { AccessSettings } from '../access/access.ts';
import { TOKEN_ALGORITHMS, type TokenSettings } from '../access/token.ts';
import { BadEnvironment } from './badEnvironment.ts';

interface Variable<T> {
  readonly schema: z.ZodType<T>;
  readonly rule: string;
}

const METHODS = ['open', 'keys', 'jwt', 'keys,jwt'] as const;

const AUTH: Variable<(typeof METHODS)[number]> = {
  schema: z.enum(METHODS),
  rule: 'must be open (no authentication), keys (API keys), jwt (tokens of an issuer), or keys,jwt',
};

const BOTS: Variable<'report' | 'reduce-risk'> = {
  schema: z.enum(['report', 'reduce-risk']),
  rule: 'must be report, or reduce-risk (bots may also roll back, pause and cancel)',
};

const WORD: Variable<string> = { schema: z.string().regex(/^\S+$/), rule: 'must be a word without spaces' };

/** Requires https, because an attacker who can change the keys in transit can forge tokens. */
const KEYS_URL: Variable<string> = {
  schema: z.string().refine((text) => {
    if (!URL.canParse(text) || !/^https?:\/\//.test(text)) return false;
    const { protocol, hostname } = new URL(text);
    return protocol === 'https:' || /^localhost\.?$/.test(hostname) || /^127\.|^\[::1\]$/.test(hostname);
  }),
  rule: 'must be the https:// URL of the issuer’s published keys (http:// only for this machine)',
};

const ALGORITHMS: Variable<TokenSettings['algorithms']> = {
  schema: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(TOKEN_ALGORITHMS))),
  rule: `must be a list of ${TOKEN_ALGORITHMS.join(',')}`,
};

/** Reads how callers are authenticated. Throws {@link BadEnvironment}. */
export function readAccess(variables: NodeJS.ProcessEnv): AccessSettings {
  const read = <T>(name: string, { schema, rule }: Variable<T>): T | null => {
    const text = variables[name];
    if (text === undefined || text === '') return null;
    const parsed = schema.safeParse(text);
    if (!parsed.success) throw new BadEnvironment(`${name} ${rule}, got ${JSON.stringify(text)}`);
    return parsed.data;
  };
  const need = (name: string): string => {
    const value = read(name, WORD);
    if (value === null) throw new BadEnvironment(`${name} must be set, because SERIN_AUTH includes jwt`);
    return value;
  };
  const readTokens = (): TokenSettings => {
    const issuer = need('SERIN_JWT_ISSUER');
    const published = `${issuer.replace(/\/$/, '')}/.well-known/jwks.json`;
    const keysUrl = read('SERIN_JWT_JWKS', KEYS_URL);
    if (keysUrl === null && !KEYS_URL.schema.safeParse(published).success) {
      throw new BadEnvironment(`SERIN_JWT_JWKS ${KEYS_URL.rule}: SERIN_JWT_ISSUER is not such a URL`);
    }
    return {
      issuer,
      audience: need('SERIN_JWT_AUDIENCE'),
      keysUrl: keysUrl ?? published,
      algorithms: read('SERIN_JWT_ALGORITHMS', ALGORITHMS) ?? ['RS256', 'PS256', 'ES256', 'EdDSA'],
      roleClaim: read('SERIN_JWT_ROLE_CLAIM', WORD) ?? 'serin_role',
      strategiesClaim: read('SERIN_JWT_STRATEGIES_CLAIM', WORD) ?? 'serin_strategies',
      sidesClaim: read('SERIN_JWT_SIDES_CLAIM', WORD) ?? 'serin_sides',
    };
  };
  const methods = (read('SERIN_AUTH', AUTH) ?? 'open').split(',');
  return {
    keys: methods.includes('keys'),
    tokens: methods.includes('jwt') ? readTokens() : null,
    botsReduceRisk: read('SERIN_BOTS_MAY', BOTS) === 'reduce-risk',
  };
}
