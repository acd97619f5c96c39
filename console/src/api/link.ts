/**
 * What the console knows of its connection. Only a connection that answers is called live: the lamp of every page
 * shows this state.
 */

export type Link =
  | { readonly state: 'connecting'; readonly since: number }
  | { readonly state: 'live'; readonly since: number }
  /** The connection, or something that is followed over it, is lost and being made again. */
  | { readonly state: 'reconnecting'; readonly since: number };

let link: Link = { state: 'connecting', since: Date.now() };
const listeners = new Set<() => void>();

export const currentLink = (): Link => link;

let connection: Link['state'] = 'connecting';
/** What is followed and was ended by the server, until it delivers again. */
const interrupted = new Set<object>();

/** The connection itself is in this state. */
export function setLink(state: Link['state']): void {
  connection = state;
  update();
}

/** Whether something that is followed has ended and not begun anew: a connection alone makes no value live. */
export function setInterrupted(followed: object, is: boolean): void {
  if (is) interrupted.add(followed);
  else interrupted.delete(followed);
  update();
}

function update(): void {
  const state = interrupted.size > 0 ? 'reconnecting' : connection;
  if (link.state === state) return;
  link = { state, since: Date.now() };
  for (const listener of listeners) listener();
}

/** Calls after every change; answers how to stop that. */
export function onLinkChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
