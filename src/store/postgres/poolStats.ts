/**
 * How busy a node's connections to the database are. The driver does not say: connections are counted by their
 * sockets, and transactions, each of which has a connection for itself, by when they ask for one and get it.
 */
import type { Socket } from 'node:net';

export interface Pool {
  /** Connections that are open or being opened. */
  readonly connections: number;
  /** Transactions that have a connection. */
  readonly running: number;
  /** Transactions that wait for one. */
  readonly waiting: number;
}

export interface CountedPool extends Pool {
  /** Counts a socket until it closes. */
  hold(socket: Socket): Socket;
  /** Counts a transaction. `begin` gets what to call when it has its connection. */
  transaction<T>(begin: (begun: () => void) => Promise<T>): Promise<T>;
}

export function countPool(): CountedPool {
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
    hold(socket) {
      connections += 1;
      socket.once('close', () => {
        connections -= 1;
      });
      return socket;
    },
    async transaction(begin) {
      let has = false;
      waiting += 1;
      try {
        return await begin(() => {
          has = true;
          waiting -= 1;
          running += 1;
        });
      } finally {
        if (has) running -= 1;
        else waiting -= 1;
      }
    },
  };
}
