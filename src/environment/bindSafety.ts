/**
 * Secure by default: without authentication Serin only listens on the loopback interface. It refuses to start on an
 * address that other machines can reach.
 */
import { lookup } from 'node:dns/promises';
import { BlockList } from 'node:net';
import { FIRST_KEY } from '../access/access.ts';
import { BadEnvironment } from './environment.ts';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Refuses open mode on an address that other machines can reach. Throws {@link BadEnvironment}. */
export async function checkBindSafety(host: string): Promise<void> {
  const addresses = await lookup(host, { all: true }).catch((error: unknown) => {
    throw new BadEnvironment(
      `HOST ${host} cannot be resolved: ${error instanceof Error ? error.message : String(error)}`,
    );
  });
  const reachable = addresses.find(
    ({ address, family }) => !LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4'),
  );
  if (!reachable && addresses.length > 0) return;
  throw new BadEnvironment(
    `HOST ${host} can be reached from other machines, and callers need no credentials: set SERIN_AUTH=keys and ` +
      `${FIRST_KEY}, or listen on this machine only with HOST=127.0.0.1`,
  );
}
