/**
 * What the console knows of its connection. Only a connection that answers is called live: the lamp of every page
 * shows this state.
 */

export type Link =
  | { readonly state: 'connecting'; readonly since: number }
  | { readonly state: 'live'; readonly since: number }
  /** The connection is lost and being made again. */
  | { readonly state: 'reconnecting'; readonly since: number };

let link: Link = { state: 'connecting', since: Date.now() };
const listeners = new Set<() => void>();

export const currentLink = (): Link => link;

export function setLink(state: Link['state']): void {
  if (link.state === state) return;
  link = { state, since: Date.now() };
  for (const listener of listeners) listener();
}

/** Calls after every change; answers how to stop that. */
export function onLinkChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
