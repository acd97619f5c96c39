/**
 * The network addresses that webhooks may call: the public internet, and networks that the operator allows. All others
 * (private, loopback, link-local, shared, multicast, reserved, tunnels into IPv4, cloud metadata services) are refused.
 */
import ipaddr from 'ipaddr.js';

/** A network, parsed. */
type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** A host of a URL as an address: those of version 6 are in brackets. */
export const withoutBrackets = (host: string) => host.replace(/^\[|\]$/g, '');

/** Parses a network (`10.0.0.0/8`) or a single address; null if invalid. */
export function parseNetwork(text: string): Network | null {
  // Short forms such as 10.1 are ambiguous.
  const [host = ''] = text.split('/');
  if (!ipaddr.IPv4.isValidFourPartDecimal(host) && !ipaddr.IPv6.isValid(host)) return null;
  if (text.includes('/')) return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : null;
  const address = ipaddr.parse(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/** In a public range, but only reachable inside a cloud: Azure's platform address. */
const CLOUD_INTERNAL: readonly Network[] = [ipaddr.parseCIDR('168.63.129.16/32')];
/** The public range of IPv6. Ranges that embed an IPv4 address have their own names and are refused by name. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

const within = (address: ipaddr.IPv4 | ipaddr.IPv6, networks: readonly Network[]) =>
  networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));

/** Why an address may not be called, as a message that follows the address; null if it may. */
export type AddressRule = (address: string) => string | null;

/** @param allowed networks in addition to the public internet. Throws if one is invalid. */
export function addressRule(allowed: readonly string[]): AddressRule {
  const networks = allowed.map((text) => {
    const network = parseNetwork(text);
    if (!network) throw new Error(`${text} is not a network`);
    return network;
  });
  return (text) => {
    if (!ipaddr.isValid(text)) return 'is not a network address';
    const address = ipaddr.process(text);
    if (within(address, networks)) return null;
    const range = within(address, CLOUD_INTERNAL) ? 'reserved' : address.range();
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
