/** Where Serin is and who the caller is, for operations and for feeds alike. */

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

/** The addresses of an endpoint, each with its path. */
export function addressesOf({ url }: Pick<Endpoint, 'url'>): readonly string[] {
  const urls = typeof url === 'string' ? [url] : url;
  return urls.map((given) => {
    const address = new URL(given);
    if (address.pathname === '/') address.pathname = '/graphql';
    return address.href;
  });
}

/** The headers that name the caller. */
export async function credentialHeaders({
  key,
  actor,
}: Pick<Endpoint, 'key' | 'actor'>): Promise<Record<string, string>> {
  const value = typeof key === 'function' ? await key() : key;
  return {
    ...(value ? { authorization: `Bearer ${value}` } : {}),
    ...(actor ? { 'x-serin-actor': actor } : {}),
  };
}
