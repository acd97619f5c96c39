/**
 * Messages that are sent to a socket without waiting for anything in between go to the network in one write: a write of its
 * own for each of two hundred takes longer than making them, and wakes the client as often. They do not wait for the
 * other work of the event loop: on a busy node that is a millisecond.
 */
import type { Socket } from 'node:net';

const corked = new Set<Socket>();

/** Holds what is written to a socket from now until the code that runs now, with its promises, has nothing more to do. */
export function holdForNow(socket: Socket): void {
  if (corked.has(socket)) return;
  // Runs when no promise is left to go on with, before the next event.
  if (corked.size === 0) process.nextTick(release);
  corked.add(socket);
  socket.cork();
}

function release(): void {
  const sockets = [...corked];
  corked.clear();
  for (const socket of sockets) socket.uncork();
}
