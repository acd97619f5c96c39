/** Ports for servers of tests that stop and start again, or that start later than their address is written down. */
import { createSocket, type Socket } from 'node:dgram';
import { createServer } from 'node:net';

/** Below the ports that a system gives out by itself, so that no other connection or server gets one meanwhile. */
const FIRST = 20_000;
const COUNT = 12_000;

export interface ClaimedPort {
  readonly port: number;
  /** Lets others have it. */
  release(): void;
}

/**
 * A free port of loopback that no other process of tests takes before it is released, or this process ends, also while
 * nothing listens on it: a UDP socket holds its number.
 */
export async function claimPort(): Promise<ClaimedPort> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    const holder = await hold(port);
    if (!holder) continue;
    if (await isFree(port)) return { port, release: () => holder.close() };
    holder.close();
  }
}

function hold(port: number): Promise<Socket | null> {
  return new Promise((done) => {
    const socket = createSocket('udp4').unref();
    socket.once('error', () => {
      socket.close();
      done(null);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => done(socket));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const probe = createServer()
      .once('error', () => done(false))
      .listen(port, '127.0.0.1', () => probe.close(() => done(true)));
  });
}
