/**
 * Redacts secrets. A server may repeat in an error what it was sent, so every message of a provider passes through
 * here first.
 */

/** Shorter strings would redact ordinary words. */
const MIN_SECRET_LENGTH = 4;
const MAX_MESSAGE_LENGTH = 600;

/**
 * @param secrets strings that must never be shown, such as header values; each of their words is redacted too
 * @returns a function that redacts them in a message and makes it one line of bounded length
 */
export function createRedactor(secrets: readonly string[]): (message: string) => string {
  const hidden = new Set(secrets.flatMap((secret) => [secret, ...secret.split(/\s+/)]));
  const longestFirst = [...hidden]
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .sort((a, b) => b.length - a.length);
  return (message) => {
    const clean = longestFirst.reduce((text, secret) => text.replaceAll(secret, '***'), message);
    const line = clean.replace(/[\s\p{Cc}]+/gu, ' ').trim();
    return line.length > MAX_MESSAGE_LENGTH ? `${line.slice(0, MAX_MESSAGE_LENGTH)}…` : line;
  };
}
