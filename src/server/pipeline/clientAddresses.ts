/** Client addresses, and the bounds per address: connections and rate. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import type { HttpSettings } from '../../environment/limits.ts';
import { createRate } from './rateLimits.ts';

export interface ClientAddresses {
  addressOf(request: IncomingMessage): string;
  /** Counts one operation. Seconds to wait, or null if it may proceed; not a promise if the address is not counted. */
  overRate(address: string): Promise<number | null> | null;
  /** Closes connections beyond the bounds. */
  boundConnections(server: Server): void;
}

export function createClientAddresses({
  limits,
  boundsLoopback,
  trustedProxies,
}: HttpSettings): ClientAddresses {
  const rate = createRate(limits.rate);
  const isFree = (address: string) => !boundsLoopback && isLoopback(address);

  return {
    addressOf(request) {
      const direct = addressOf(request.socket);
      if (trustedProxies === 0) return direct;
      const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',');
      return readAddress(forwarded.at(-trustedProxies) ?? '') ?? direct;
    },
    overRate: (address) => (isFree(address) ? null : rate(address)),
    boundConnections(server) {
      server.maxConnections = limits.connections;
      const open = new Map<string, number>();
      /** A closed socket need not know its address any more. */
      const counted = new WeakMap<Socket, string>();
      function leave(this: Socket): void {
        const address = counted.get(this) ?? 'unknown';
        const left = (open.get(address) ?? 1) - 1;
        if (left === 0) open.delete(address);
        else open.set(address, left);
      }
      server.on('connection', (socket: Socket) => {
        const address = addressOf(socket);
        // Behind a proxy every connection comes from the proxy.
        if (trustedProxies > 0 || isFree(address)) return;
        const count = (open.get(address) ?? 0) + 1;
        if (count > limits.connectionsPerAddress) {
          socket.destroy();
          return;
        }
        open.set(address, count);
        counted.set(socket, address);
        socket.on('close', leave);
      });
    },
  };
}

const addressOf = ({ remoteAddress = '' }: Socket) => readAddress(remoteAddress) ?? 'unknown';

/** The network of one subscriber: who has an IPv6 address has 2^64 of them. */
const IPV6_PREFIX = 64;

/** Texts of addresses that are remembered, and the longest one. */
const MAX_KNOWN = 10_000;
const MAX_LENGTH = 100;
const known = new LRUCache<string, { readonly address: string | null }>({ max: MAX_KNOWN });

/**
 * The address that limits count, from `remoteAddress` or an entry of `X-Forwarded-For`, which may have a port: an IPv4
 * address, or the /64 network of an IPv6 address. Null if it is not an address.
 */
function readAddress(text: string): string | null {
  if (text.length > MAX_LENGTH) return null;
  const found = known.get(text);
  if (found) return found.address;
  const address = parseAddress(text);
  known.set(text, { address });
  return address;
}

function parseAddress(text: string): string | null {
  const plain = text.trim().replace(/^"(.*)"$/, '$1');
  const host = /^\[([^\]]+)\](?::\d+)?$/.exec(plain)?.[1] ?? plain.replace(/^([\d.]+):\d+$/, '$1');
  if (!ipaddr.isValid(host)) return null;
  const address = ipaddr.process(host);
  if (address instanceof ipaddr.IPv4 || address.range() === 'loopback') return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toNormalizedString().replace(/%.*/, '')}/${IPV6_PREFIX}`)}/${IPV6_PREFIX}`;
}

/** Whether an address or host name belongs to the loopback interface. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$|^\[?::1\]?$|^localhost\.?$|\.localhost\.?$/i.test(address);
}
