/**
 * The HTTP client of webhooks: it connects to allowed addresses only, and reuses connections. It is loaded for the first
 * delivery, because it takes a tenth of the time of a start.
 */
import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { ForbiddenTarget } from './forbiddenTarget.ts';
import { withoutBrackets } from './networks.ts';

const CONNECT_TIMEOUT_MS = 5_000;

/** @param checkHost the addresses of a host, all of them allowed; throws otherwise */
export function createCheckedAgent(checkHost: (host: string) => Promise<readonly LookupAddress[]>): Agent {
  const checkedLookup: LookupFunction = (host, options, done) => {
    checkHost(host).then(
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
  const connect = buildConnector({ lookup: checkedLookup, timeout: CONNECT_TIMEOUT_MS, port: 0 });
  return new Agent({
    connections: 16,
    keepAliveTimeout: 30_000,
    // A literal address is not resolved, so it is checked here.
    connect: (options, done) => {
      const literal = withoutBrackets(options.hostname);
      if (isIP(literal) === 0) return connect(options, done);
      checkHost(literal).then(
        () => connect(options, done),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), null),
      );
    },
  });
}
