/**
 * Messages that are sent to a socket in one turn of the event loop go to the network in one write: a write of its own for
 * each of two hundred takes longer than making them, and wakes the client as often.
 */
import type { Socket } from 'node:net';

const corked = new Set<Socket>();

/** Holds what is written to a socket from now until the end of this turn of the event loop. */
export function holdUntilEndOfTurn(socket: Socket): void {
  if (corked.has(socket)) return;
  if (corked.size === 0) setImmediate(release);
  corked.add(socket);
  socket.cork();
}

function release(): void {
  for (const socket of corked) socket.uncork();
  corked.clear();
}
