/**
 * Which network addresses a webhook may call: those of the public internet, and the networks that the operator has
 * allowed. Everything else (private, loopback, link-local, shared, multicast, reserved, tunnels into IPv4, the
 * metadata services of clouds) is refused.
 */
import ipaddr from 'ipaddr.js';

/** A network, parsed. */
type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Reads a network (`10.0.0.0/8`) or a single address; null when it is none. */
export function parseNetwork(text: string): Network | null {
  // Short forms such as 10.1 are read in more than one way.
  const [host = ''] = text.split('/');
  if (!ipaddr.IPv4.isValidFourPartDecimal(host) && !ipaddr.IPv6.isValid(host)) return null;
  if (text.includes('/')) return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : null;
  const address = ipaddr.parse(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/** Public by its number, but it answers inside a cloud only: Azure's platform. */
const INSIDE: readonly Network[] = [ipaddr.parseCIDR('168.63.129.16/32')];
/** What IPv6 routes publicly. Ranges that embed an IPv4 address have names of their own and are refused by them. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

const within = (address: ipaddr.IPv4 | ipaddr.IPv6, networks: readonly Network[]) =>
  networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));

/** Why an address may not be called, in words that follow it; null when it may. */
export type AddressRule = (address: string) => string | null;

/** @param allowed networks beside the public internet. Throws on one that is none. */
export function addressRule(allowed: readonly string[]): AddressRule {
  const networks = allowed.map((text) => {
    const network = parseNetwork(text);
    if (!network) throw new Error(`${text} is no network`);
    return network;
  });
  return (text) => {
    if (!ipaddr.isValid(text)) return 'is no network address';
    const address = ipaddr.process(text);
    if (within(address, networks)) return null;
    const range = within(address, INSIDE) ? 'reserved' : address.range();
    const outside = address instanceof ipaddr.IPv6 && !address.match(GLOBAL_IPV6);
    if (range === 'unicast' && !outside) return null;
    return `is a ${RANGES[range] ?? 'reserved'} address, which this server does not call`;
  };
}

const RANGES: Readonly<Record<string, string>> = {
  private: 'private',
  uniqueLocal: 'private',
  loopback: 'loopback',
  linkLocal: 'link-local',
  carrierGradeNat: 'shared (CGNAT)',
  multicast: 'multicast',
  broadcast: 'broadcast',
  unspecified: 'unspecified',
};
