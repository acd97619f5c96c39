/** Where Serin is and who the caller is, for operations and for feeds alike. */
import { SerinError } from './errors.ts';

/** A key or token, or a function that returns the one to use now: it is asked for each request and connection. */
export type Credentials = string | (() => string | Promise<string>);

/** Where Serin is, and who the caller is. */
export interface Endpoint {
  /** Where Serin is: `http://HOST:PORT`, with or without `/graphql`; several nodes are tried in turn. */
  readonly url: string | readonly string[];
  /** An API key or a token of your issuer. Not needed where Serin runs open. */
  readonly key?: Credentials | undefined;
  /** The name of the actor where Serin runs open; where it asks for keys, the key has the name. */
  readonly actor?: string | undefined;
  /** Used instead of the platform's `fetch`, for a proxy or a certificate of your own. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * The addresses of an endpoint, each with its path.
 * @throws {TypeError} where one is no address of a Serin: `localhost:4000` is a URL to the platform, of the scheme `localhost`
 */
export function addressesOf({ url }: Pick<Endpoint, 'url'>): readonly string[] {
  const urls = typeof url === 'string' ? [url] : url;
  if (urls.length === 0) throw new TypeError('url must name at least one address');
  return urls.map((given) => {
    const address = URL.canParse(given) ? new URL(given) : null;
    if (!address || !/^https?:$/.test(address.protocol)) {
      throw new TypeError(`url must be http://HOST:PORT or https://HOST:PORT, got ${JSON.stringify(given)}`);
    }
    if (address.username || address.password) {
      throw new TypeError('url must not hold a user name or a password: give the key as key');
    }
    if (address.pathname === '/') address.pathname = '/graphql';
    return address.href;
  });
}

/**
 * The headers that name the caller.
 * @throws {SerinError} where a header cannot hold them: trying again changes nothing
 */
export async function credentialHeaders({
  key,
  actor,
}: Pick<Endpoint, 'key' | 'actor'>): Promise<Record<string, string>> {
  // A key that was read from a file ends with a line break.
  const value = (typeof key === 'function' ? await key() : key)?.trim();
  if (value) checkHeader(value, 'key', 'UNAUTHENTICATED');
  if (actor) checkHeader(actor, 'actor', 'BAD_REQUEST');
  return {
    ...(value ? { authorization: `Bearer ${value}` } : {}),
    ...(actor ? { 'x-serin-actor': actor } : {}),
  };
}

/** What a header cannot hold: line breaks, other control characters, and letters outside of Latin-1. */
const NOT_IN_HEADER = /[^\t -~\u0080-\u00ff]/u;

/** The value itself may be a secret: only the character and its place are named. */
function checkHeader(value: string, name: string, code: string): void {
  const found = NOT_IN_HEADER.exec(value);
  if (!found) return;
  const character = found[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
  throw new SerinError(
    `The ${name} has a character that no HTTP header can hold (U+${character}, at position ${found.index + 1})`,
    code,
  );
}
