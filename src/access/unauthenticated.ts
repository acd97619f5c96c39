/** The caller is not authenticated: credentials are missing, invalid, expired or revoked. */
export class Unauthenticated extends Error {}
