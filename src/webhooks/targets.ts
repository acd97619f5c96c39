/**
 * Allowed targets of webhooks: http(s) URLs whose host is, or resolves to, an allowed address. The same rule checks a URL
 * when it is set and every connection when it is opened. A connection goes to exactly the checked addresses, so DNS
 * rebinding has no effect.
 */
import dns from 'node:dns';
import { isIP } from 'node:net';
import type { Agent } from 'undici';
import { ForbiddenTarget } from './forbiddenTarget.ts';
import { addressRule, withoutBrackets } from './networks.ts';

const MAX_URL = 2_000;

/** Resolves a name to all its addresses: `dns.lookup`, or a hostile resolver in tests. */
export type Lookup = (host: string) => Promise<readonly dns.LookupAddress[]>;

const systemLookup: Lookup = (host) => dns.promises.lookup(host, { all: true });

export interface Targets {
  /** Why a URL is refused, as a message that follows the name of the field; null if it is allowed. */
  refuse(url: string): Promise<string | null>;
  /** The client that connects to allowed addresses only; made when it is asked for first. */
  agent(): Promise<Agent>;
  /** Ends all its connections. */
  close(): Promise<void>;
}

/** @param allowed networks that may be called in addition to the public internet */
export function createTargets(allowed: readonly string[], lookup: Lookup = systemLookup): Targets {
  const refuseAddress = addressRule(allowed);

  /** The addresses of a host, all of them allowed. Throws {@link ForbiddenTarget}, or the resolver's error. */
  async function checkHost(host: string): Promise<readonly dns.LookupAddress[]> {
    const literal = withoutBrackets(host);
    const family = isIP(literal);
    const found = family ? [{ address: literal, family }] : await lookup(host);
    if (found.length === 0) throw new ForbiddenTarget(`${host} has no address`);
    for (const { address } of found) {
      const no = refuseAddress(address);
      if (no)
        throw new ForbiddenTarget(
          family ? `${literal} ${no}` : `${host} resolves to ${address}, which ${no}`,
        );
    }
    return found;
  }

  let agent: Promise<Agent> | null = null;

  return {
    async refuse(text) {
      const url = readUrl(text);
      if (typeof url === 'string') return url;
      try {
        await checkHost(url.hostname);
        return null;
      } catch (error) {
        if (error instanceof ForbiddenTarget) return `cannot be called: ${error.message}`;
        return `has a host name that cannot be resolved now: ${url.hostname}`;
      }
    },
    agent() {
      agent ??= import('./checkedAgent.ts').then(({ createCheckedAgent }) => createCheckedAgent(checkHost));
      return agent;
    },
    async close() {
      await (await agent)?.destroy();
    },
  };
}

/** A well-formed http(s) URL, or the message for an invalid one. */
function readUrl(text: string): URL | string {
  if (text.length > MAX_URL) return `must have at most ${MAX_URL} characters, got ${text.length}`;
  if (!URL.canParse(text)) return 'must be a URL, such as https://example.com/serin';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return `must begin with https:// or http://, got ${url.protocol}//`;
  }
  if (url.username || url.password)
    return 'must not contain a user name or password: verify the signature instead';
  if (url.hash) return 'must not have a fragment (#)';
  return url;
}
