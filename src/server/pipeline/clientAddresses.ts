/** Where a request comes from, and how much of it: addresses, their connections, and their rate. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpSettings } from '../../environment/limits.ts';
import { createRate } from './rateLimits.ts';

export interface ClientAddresses {
  addressOf(request: IncomingMessage): string;
  /** Counts one operation. Answers how many seconds to wait, or null when it may go on: at once where none are counted. */
  overRate(address: string): Promise<number | null> | null;
  /** Refuses connections beyond the bounds. */
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
        // Behind a proxy every connection is the proxy's.
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

/** An address that only this machine can come from, or listen on. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.\d+\.\d+\.\d+$|^\[?::1\]?$|^localhost$|\.localhost$/i.test(address);
}
