/**
 * The credentials of this browser tab: a key or token, kept in the tab's session storage and sent with every request.
 * An open server needs none.
 */

const STORED = 'serin.credentials';

type Listener = () => void;
const listeners = new Set<Listener>();

export interface Session {
  /** The key or token; null where none was given. */
  readonly credentials: string | null;
  /** Whether the server wants credentials that it does not have. */
  readonly wanted: boolean;
  /** Why it did not, or no longer, accept the last ones, in its words; null where none were given. */
  readonly refusal: string | null;
}

let session: Session = { credentials: sessionStorage.getItem(STORED), wanted: false, refusal: null };

function change(next: Session): void {
  session = next;
  if (next.credentials === null) sessionStorage.removeItem(STORED);
  else sessionStorage.setItem(STORED, next.credentials);
  for (const listener of listeners) listener();
}

export const currentSession = (): Session => session;

/** Calls after every change; answers how to stop that. */
export function onSessionChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What no HTTP header can hold, such as an ellipsis or an invisible character that was copied along. */
const NOT_IN_HEADER = /[^ -~\u00a0-\u00ff]/u;

/** Uses this key or token from now on. */
export function signIn(text: string): void {
  const credentials = text.trim().replace(/^Bearer\s+/i, '');
  const found = NOT_IN_HEADER.exec(credentials);
  if (found) {
    const refusal = `Character ${found.index + 1} of it is not one of a key or token. Copy it again, whole`;
    change({ credentials: null, wanted: true, refusal });
  } else change({ credentials, wanted: false, refusal: null });
}

export function signOut(): void {
  change({ credentials: null, wanted: true, refusal: null });
}

/** The server wants credentials, or others. */
export function refuseSession(why: string): void {
  // Further answers to what was asked with the same credentials say nothing new.
  const refusal = session.credentials === null ? session.refusal : why;
  change({ credentials: null, wanted: true, refusal });
}
