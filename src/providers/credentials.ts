/**
 * Reads secrets: headers that name environment variables, and `user:password@` in a URL, which is sent as a header
 * because `fetch` refuses it in a URL. Every secret read here is reported to the caller, which redacts it in messages.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

/** A valid header. */
export interface Header {
  readonly value: string;
  readonly secrets: readonly string[];
}

/**
 * Reads a header's value and replaces environment variables: `Bearer ${TOKEN}`.
 * @returns the header, or an error message that does not contain the value
 */
export function readHeader(text: string, environment: Environment): Header | string {
  const unset = new Set<string>();
  const secrets: string[] = [];
  const value = text.replace(/\$\{([^}]*)\}?/g, (_, name: string) => {
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (found) secrets.push(found);
    else unset.add(name);
    return found ?? '';
  });
  if (unset.size > 0) {
    return `needs ${[...unset].join(', ')} in the environment, which is not set or is empty`;
  }
  return isHeaderText('x', value)
    ? { value, secrets: [...secrets, value] }
    : 'has characters that a header cannot have';
}

/** Whether a header of this name and value can be sent. */
export function isHeaderText(name: string, value: string): boolean {
  try {
    return new Headers([[name, value]]).has(name);
  } catch {
    return false;
  }
}

/** A URL without credentials, and the `Authorization` header that replaces them. */
export interface BareUrl {
  readonly url: string;
  readonly authorization: string | null;
  readonly secrets: readonly string[];
}

/**
 * Removes the credentials from a URL.
 * @returns the URL, or an error message that does not contain the credentials
 */
export function splitCredentials(url: string): BareUrl | string {
  const [, scheme = '', userinfo] = /^(https?:\/\/)([^/?#\\]*)@/i.exec(url) ?? [];
  if (userinfo === undefined) return { url, authorization: null, secrets: [] };
  const pair = decode(userinfo.includes(':') ? userinfo : `${userinfo}:`);
  if (pair === null) return 'has a user or password that is not percent-encoded';
  const authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  return {
    url: scheme + url.slice(scheme.length + userinfo.length + 1),
    authorization,
    secrets: [userinfo, pair, ...pair.split(':'), authorization],
  };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
