/**
 * Statistics of a node's connection pool. The driver does not report them. Connections are counted by their sockets;
 * transactions, each of which has a connection of its own, are counted when they request a connection and get it.
 */
import type { Socket } from 'node:net';

/** The state of the pool now. */
export interface PoolStats {
  /** Connections that are open or being opened. */
  readonly connections: number;
  /** Transactions that have a connection. */
  readonly running: number;
  /** Transactions that wait for one. */
  readonly waiting: number;
}

/** The statistics and the functions that update them. */
export interface PoolStatsRecorder extends PoolStats {
  /** Counts a socket until it closes. Returns the same socket. */
  countSocket(socket: Socket): Socket;
  /** Counts a transaction. `begin` gets a function that it calls when the transaction has its connection. */
  countTransaction<T>(begin: (onConnected: () => void) => Promise<T>): Promise<T>;
}

export function createPoolStats(): PoolStatsRecorder {
  let connections = 0;
  let running = 0;
  let waiting = 0;
  return {
    get connections() {
      return connections;
    },
    get running() {
      return running;
    },
    get waiting() {
      return waiting;
    },
    countSocket(socket) {
      connections += 1;
      socket.once('close', () => {
        connections -= 1;
      });
      return socket;
    },
    async countTransaction(begin) {
      let connected = false;
      waiting += 1;
      try {
        return await begin(() => {
          connected = true;
          waiting -= 1;
          running += 1;
        });
      } finally {
        if (connected) running -= 1;
        else waiting -= 1;
      }
    },
  };
}
