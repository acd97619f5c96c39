/**
 * Serin's clock in the browser. Serin's time is its database's; in demonstrations it runs faster than the viewer's. It
 * is set by every answer that says the time, and goes on from there at the rate that the server tells.
 */
import { useSyncExternalStore } from 'react';

let rate = 1;
let anchor = { serin: Date.now(), local: Date.now() };
const listeners = new Set<() => void>();

/** Seconds of Serin's time in a real one. */
export function setClockRate(next: number): void {
  if (next === rate) return;
  anchor = { serin: serinNow(), local: Date.now() };
  rate = next;
  for (const listener of listeners) listener();
}

/** The server says that it is this time, in epoch ms. */
export function setClock(serin: number): void {
  anchor = { serin, local: Date.now() };
}

/** Serin's time at a moment of the viewer's clock. */
export function serinNow(local = Date.now()): number {
  return anchor.serin + (local - anchor.local) * rate;
}

export function useClockRate(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => rate,
  );
}
