/**
 * Bearer tokens (JWT) of the configured issuer: signed with one of its published keys, for this audience, by an allowed
 * algorithm.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { type WallInstant, wallNow } from '../core/values/instant.ts';
import { SIDES } from '../core/values/side.ts';
import { patternViolation } from '../store/access/strategyScope.ts';
import { type Actor, createActor, foldName, isReservedName, ROLES, type Role, type Sides } from './actor.ts';
import { createIssuerKeys } from './issuerKeys.ts';
import { Unauthenticated } from './unauthenticated.ts';

/** Asymmetric algorithms only: no shared secrets, and never `none`. */
export const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

export interface TokenSettings {
  readonly issuer: string;
  readonly audience: string;
  /** URL of the issuer's published keys. */
  readonly keysUrl: string;
  readonly algorithms: readonly TokenAlgorithm[];
  /** Name of the claim with the role, such as `OPERATOR`. */
  readonly roleClaim: string;
  /** Name of the claim with the patterns of strategies; `*` means all strategies. */
  readonly strategiesClaim: string;
  /** Name of the claim with the sides that the caller may speak for; without the claim it may speak for both. */
  readonly sidesClaim: string;
}

/** Difference between the issuer's clock and ours that is tolerated, in `exp` and `nbf`. */
const LEEWAY_SECONDS = 30;

/** The issuer's keys cannot be fetched or used, so the caller can be neither accepted nor refused. */
export class IssuerAway extends Error {
  /** Whether the log is to have it: true once a minute, however many callers send tokens. */
  readonly isNews: () => boolean;

  constructor(isNews: () => boolean, options: ErrorOptions) {
    super("Cannot fetch the token issuer's keys at the moment: try again", options);
    this.isNews = isNews;
  }
}

const NEWS_EVERY_MS = 60_000;

/** Creates the function that maps a token to its actor. Throws {@link Unauthenticated} or {@link IssuerAway}. */
export function createTokenReader(
  settings: TokenSettings,
  botsReduceRisk: boolean,
): (token: string) => Promise<Actor> {
  const { issuer, audience, keysUrl, algorithms } = settings;
  const keys = createIssuerKeys(keysUrl);
  const rules = {
    issuer,
    audience,
    algorithms: [...algorithms],
    requiredClaims: ['sub', 'exp'],
    clockTolerance: LEEWAY_SECONDS,
  };
  let lastNewsAt = Number.NEGATIVE_INFINITY;
  const isNews = () => {
    const now = performance.now();
    if (now - lastNewsAt < NEWS_EVERY_MS) return false;
    lastNewsAt = now;
    return true;
  };
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, rules).catch((error) => {
      throw refusalOf(error) ?? new IssuerAway(isNews, { cause: error });
    });
    const name = nameOf(payload);
    const role = roleOf(payload[settings.roleClaim], settings.roleClaim);
    const strategies = strategiesOf(payload[settings.strategiesClaim], settings.strategiesClaim);
    const exp: WallInstant = Number(payload.exp) * 1000;
    // What it holds open ends at `exp`, or after the leeway that it was accepted with.
    const expiresAt: WallInstant = exp > wallNow() ? exp : exp + LEEWAY_SECONDS * 1000;
    const sides = sidesOf(payload[settings.sidesClaim], settings.sidesClaim);
    return createActor(
      name,
      { role, strategies, reducesRisk: botsReduceRisk, sides },
      {
        credential: { type: 'TOKEN', expiresAt },
        subject: `${issuer}|${payload.sub}`,
        person: { id: foldName(name), madeBy: null },
      },
    );
  };
}

/** Why a token is refused; null if that is no fault of the token. */
function refusalOf(error: unknown): Unauthenticated | null {
  if (error instanceof errors.JWTExpired)
    return new Unauthenticated('This token has expired: send a new one');
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new Unauthenticated(`This token is not valid for this server: its claim ${error.claim} is wrong`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new Unauthenticated('This token is signed with an algorithm that is not allowed here');
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return new Unauthenticated('This token is not signed with a key of the issuer');
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return new Unauthenticated(
      'This token does not name the key of the issuer that signed it: it needs a kid',
    );
  }
  if (
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSENotSupported
  ) {
    return new Unauthenticated('This is neither an API key (serin_…) nor a valid token');
  }
  return null;
}

function nameOf({ sub }: JWTPayload): string {
  const name = typeof sub === 'string' ? sub.normalize('NFC').trim() : '';
  if (/^[^\p{C}]{1,200}$/u.test(name) && !isReservedName(name)) return name;
  throw new Unauthenticated('The subject (sub) of this token cannot be used as a name');
}

function roleOf(claim: unknown, named: string): Role {
  // Letters of ASCII only: the upper case of others can be an ASCII letter ("admın" would be ADMIN).
  const name = typeof claim === 'string' && /^[a-z]+$/i.test(claim) ? claim.toUpperCase() : null;
  const role = ROLES.find((known) => known === name);
  if (role) return role;
  throw new Unauthenticated(`This token has no role: its claim ${named} must be one of ${ROLES.join(', ')}`);
}

/** The claim is required, also for all strategies: a forgotten claim grants nothing. */
function strategiesOf(claim: unknown, named: string): readonly string[] | null {
  const patterns = typeof claim === 'string' ? claim.split(/[\s,]+/).filter(Boolean) : claim;
  if (Array.isArray(patterns) && patterns.length > 0 && patterns.length <= 100 && patterns.every(isPattern)) {
    return patterns.includes('*') ? null : patterns;
  }
  throw new Unauthenticated(
    `This token has no strategies: its claim ${named} must be patterns such as ["eth-*"], ["*"] for all strategies`,
  );
}

function sidesOf(claim: unknown, named: string): Sides {
  if (claim === undefined) return null;
  const names = typeof claim === 'string' ? claim.split(/[\s,]+/).filter(Boolean) : claim;
  const sides = Array.isArray(names) ? SIDES.filter((side) => names.includes(side)) : [];
  if (Array.isArray(names) && sides.length > 0 && sides.length === new Set(names).size) return sides;
  throw new Unauthenticated(
    `The claim ${named} of this token must be a list of ${SIDES.join(' and ')}, or be left out`,
  );
}

/** The rule for patterns is that of keys. */
const isPattern = (value: unknown): value is string => patternViolation(value) === null;
