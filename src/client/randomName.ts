/** Names of runs and of requests. */

/** A name that no other run has; `crypto.randomUUID` is not there on pages without TLS. */
export function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
