/**
 * Where webhooks are sent, and no further: http(s) URLs whose host is, or resolves to, an address that may be called.
 * The same rule judges a URL when it is given and every connection when it is made; a connection goes to exactly the
 * addresses that were judged, so a name that changes its answer in between gains nothing.
 */
import dns from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { addressRule } from './networks.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const MAX_URL = 2_000;

/** Looks a name up: all its addresses. `dns.lookup` unless a test plays a hostile resolver. */
export type Lookup = (host: string) => Promise<readonly dns.LookupAddress[]>;

const systemLookup: Lookup = (host) => dns.promises.lookup(host, { all: true });

/** A connection that is not made. The message is made to be shown. */
export class ForbiddenTarget extends Error {}

export interface Targets {
  /** Why a URL cannot be a webhook's, in words that follow the name of the field; null when it can. */
  refuse(url: string): Promise<string | null>;
  /** Connects to allowed addresses only, with connections kept for the next delivery. */
  readonly dispatcher: Agent;
}

/** @param allowed networks beside the public internet that may be called */
export function createTargets(allowed: readonly string[], lookup: Lookup = systemLookup): Targets {
  const refuseAddress = addressRule(allowed);

  /** The addresses of a host, all of them allowed. Throws {@link ForbiddenTarget}, or what the look-up throws. */
  async function judge(host: string): Promise<readonly dns.LookupAddress[]> {
    const literal = host.replace(/^\[|\]$/g, '');
    const family = isIP(literal);
    const found = family ? [{ address: literal, family }] : await lookup(host);
    if (found.length === 0) throw new ForbiddenTarget(`${host} has no address`);
    for (const { address } of found) {
      const no = refuseAddress(address);
      if (no)
        throw new ForbiddenTarget(family ? `${literal} ${no}` : `${host} leads to ${address}, which ${no}`);
    }
    return found;
  }

  const judgedLookup: LookupFunction = (host, options, done) => {
    judge(host).then(
      (found) => {
        const wanted = found.filter(({ family }) => !options.family || family === options.family);
        const [first] = wanted;
        if (options.all) done(null, [...wanted]);
        else if (first) done(null, first.address, first.family);
        else done(new ForbiddenTarget(`${host} has no address of this family`), '');
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), ''),
    );
  };
  const connect = buildConnector({ lookup: judgedLookup, timeout: CONNECT_TIMEOUT_MS, port: 0 });

  return {
    async refuse(text) {
      const url = readUrl(text);
      if (typeof url === 'string') return url;
      try {
        await judge(url.hostname);
        return null;
      } catch (error) {
        if (error instanceof ForbiddenTarget) return `cannot be called: ${error.message}`;
        return `names a host that cannot be looked up now: ${url.hostname}`;
      }
    },
    dispatcher: new Agent({
      connections: 16,
      keepAliveTimeout: 30_000,
      // A literal address is not looked up, so it is judged here.
      connect: (options, done) => {
        const literal = options.hostname.replace(/^\[|\]$/g, '');
        if (isIP(literal) === 0) return connect(options, done);
        judge(literal).then(
          () => connect(options, done),
          (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), null),
        );
      },
    }),
  };
}

/** A URL that is well formed and speaks http, or what is wrong with it. */
function readUrl(text: string): URL | string {
  if (text.length > MAX_URL) return `must have at most ${MAX_URL} characters, got ${text.length}`;
  if (!URL.canParse(text)) return 'must be a URL, such as https://example.com/serin';
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return `must begin with https:// or http://, got ${url.protocol}//`;
  }
  if (url.username || url.password)
    return 'must not hold a user name or password: check the signature instead';
  if (url.hash) return 'must not have a fragment (#)';
  return url;
}
