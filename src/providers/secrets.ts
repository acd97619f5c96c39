/**
 * Keeps secrets out of words. A server may repeat in an error what it was sent, so every message of a provider passes
 * here before anyone sees it.
 */

/** Shorter ones would blot out ordinary words. */
const MIN_SECRET_LENGTH = 4;
const MAX_MESSAGE_LENGTH = 600;

/**
 * @param secrets texts that must never be shown, such as the values of headers; their words count one by one
 * @returns a function that blots them out of a message, and makes it one line of bounded length
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
