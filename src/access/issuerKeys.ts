/** The published keys of a token issuer. Those that are known outlast an outage of the issuer for an hour. */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
  jwksCache,
} from 'jose';

const TIMEOUT_MS = 5000;
/** Pause between two fetches for unknown keys, and after one that failed. */
const COOLDOWN_MS = 10_000;
/** For how long keys are used after they were fetched, while they cannot be fetched again. */
const KEPT_MS = 3_600_000;

/** Finds the key of a token: fetches the keys when one is unknown or they are older than ten minutes. */
export function createIssuerKeys(url: string): JWTVerifyGetKey {
  const cache: JWKSCacheInput = {};
  const fetched = createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: COOLDOWN_MS,
    [jwksCache]: cache,
  });
  /** Why the last fetch failed, until the next one may begin. */
  let outage: { readonly error: unknown; readonly until: number } | null = null;

  return async (header, token) => {
    if (outage && performance.now() < outage.until) return kept(outage.error, header, token);
    try {
      const key = await fetched(header, token);
      outage = null;
      return key;
    } catch (error) {
      if (isAnswer(error)) throw error;
      outage = { error, until: performance.now() + COOLDOWN_MS };
      return kept(error, header, token);
    }
  };

  /** @throws the error of the fetch, if the token's key is not among those that are known */
  async function kept(error: unknown, ...wanted: Parameters<JWTVerifyGetKey>) {
    const { jwks, uat = 0 } = cache;
    if (!jwks || Date.now() - uat > KEPT_MS) throw error;
    return createLocalJWKSet(jwks)(...wanted).catch(() => {
      throw error;
    });
  }
}

/** Whether the keys were there, and none of them, or more than one, is the token's. */
function isAnswer(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
