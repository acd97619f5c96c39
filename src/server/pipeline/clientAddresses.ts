/** Client addresses, and the bounds per address: connections and rate. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
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
      const direct = request.socket.remoteAddress ?? 'unknown';
      if (trustedProxies === 0) return direct;
      const forwarded = String(request.headers['x-forwarded-for'] ?? '').split(',');
      return forwarded.at(-trustedProxies)?.trim() || direct;
    },
    overRate: (address) => (isFree(address) ? null : rate(address)),
    boundConnections(server) {
      server.maxConnections = limits.connections;
      const open = new Map<string, number>();
      server.on('connection', (socket: Socket) => {
        const address = socket.remoteAddress ?? 'unknown';
        // Behind a proxy every connection comes from the proxy.
        if (trustedProxies > 0 || isFree(address)) return;
        const count = (open.get(address) ?? 0) + 1;
        if (count > limits.connectionsPerAddress) {
          socket.destroy();
          return;
        }
        open.set(address, count);
        socket.once('close', () => {
          const left = (open.get(address) ?? 1) - 1;
          if (left === 0) open.delete(address);
          else open.set(address, left);
        });
      });
    },
  };
}

/** Whether an address or host name belongs to the loopback interface. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$|^\[?::1\]?$|^localhost$|\.localhost$/i.test(address);
}
