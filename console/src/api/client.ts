/**
 * Operations of the API, typed from `schema.graphql`: queries and mutations over HTTP, subscriptions over one WebSocket
 * that reconnects for as long as the page is open.
 */
import { type Client, createClient } from 'graphql-ws/client';
import { createWrittenPosition } from '../../../src/client/position';
import { setClockRate } from './clock';
import type { TypedDocumentString } from './generated/graphql';
import { setInterrupted, setLink } from './link';
import { currentSession, onSessionChange, refuseSession } from './session';

/** An error of the API that is no domain answer: `code` is the one of api.md, or `NETWORK`. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly path: readonly string[] = [],
  ) {
    super(message);
  }
}

interface GraphQLFailure {
  readonly message: string;
  readonly path?: readonly (string | number)[] | undefined;
  readonly extensions?: { readonly code?: unknown; readonly path?: unknown } | undefined;
}

interface Answer<Result> {
  readonly data?: Result | null;
  readonly errors?: readonly GraphQLFailure[];
  /** Told where Serin's clock does not run at the rate of real time. */
  readonly extensions?: { readonly timeScale?: number };
}

const ENDPOINT = '/graphql';
/** The close code for credentials that are not, or no longer, accepted. */
const FORBIDDEN = 4403;
/** A connection that has been silent so long is asked for a sign of life, … */
const KEEP_ALIVE_MS = 5_000;
/** … and given up when it does not answer within this time. */
const ANSWER_WITHIN_MS = 4_000;
/** The socket is kept open so long between two pages. */
const IDLE_MS = 3_000;
/** The console itself closed the connection. */
const NORMAL_CLOSURE = 1000;
const RETRY_MS = [250, 500, 1_000, 2_000, 4_000] as const;
const waitBefore = (retry: number): number => RETRY_MS[Math.min(retry, RETRY_MS.length - 1)] ?? 0;
/** Errors that are over after a while, such as a database that was away: what is followed is begun anew. */
const PASSING: ReadonlySet<string> = new Set([
  'NETWORK',
  'UNAVAILABLE',
  'RATE_LIMITED',
  'INTERNAL_SERVER_ERROR',
  'RESUME_FROM_CURSOR',
  'HISTORY_REWOUND',
]);

/** Whether an error is over after a while. */
export const isPassing = (error: unknown): boolean => error instanceof ApiError && PASSING.has(error.code);

/** How far this page has written: lists that come from a replica wait until it has that. */
const written = createWrittenPosition();

/** Runs a query or mutation. Throws {@link ApiError}. */
export async function request<Result, Variables>(
  document: TypedDocumentString<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Result> {
  const { credentials } = currentSession();
  let response: Response;
  try {
    response = await fetch(ENDPOINT, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(credentials === null ? {} : { authorization: `Bearer ${credentials}` }),
        ...written.headers(),
      },
      body: JSON.stringify({ query: document.toString(), variables }),
      signal: signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('Serin cannot be reached', 'NETWORK');
  }
  written.note(response.headers);
  const answer: Answer<Result> | null = await response.json().catch(() => null);
  setClockRate(answer?.extensions?.timeScale ?? 1);
  const failure = answer?.errors?.[0];
  if (failure) throw toApiError(failure);
  if (!answer?.data) throw new ApiError(`Serin answered ${response.status} without data`, 'NETWORK');
  return answer.data;
}

/** What GraphQL says about a value, for a person, who gave no variables: only what is wrong with it. */
const WRONG_VALUE = /^Variable "\$\w+" got invalid value [\s\S]*?; ([\s\S]+)$/;

function toApiError({ message, path, extensions }: GraphQLFailure): ApiError {
  const code = typeof extensions?.code === 'string' ? extensions.code : 'UNKNOWN';
  if (code === 'UNAUTHENTICATED') refuseSession(message);
  const named = Array.isArray(extensions?.path) ? extensions.path : (path ?? []);
  return new ApiError(WRONG_VALUE.exec(message)?.[1] ?? message, code, named.map(String));
}

export interface Sink<Result> {
  readonly next: (data: Result) => void;
  /** The subscription has ended with an error and does not come back. */
  readonly error: (error: ApiError) => void;
  readonly complete?: () => void;
}

let socket: Client | null = null;

function connection(): Client {
  let unanswered: ReturnType<typeof setTimeout> | undefined;
  socket ??= createClient({
    url: new URL(ENDPOINT, location.href.replace(/^http/, 'ws')).href,
    connectionParams: () => {
      const { credentials } = currentSession();
      return credentials === null ? {} : { authorization: `Bearer ${credentials}` };
    },
    keepAlive: KEEP_ALIVE_MS,
    lazyCloseTimeout: IDLE_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: (retries) =>
      new Promise((resolve) => {
        setTimeout(resolve, waitBefore(retries));
      }),
    shouldRetry: (event) => !(isClose(event) && event.code === FORBIDDEN),
    on: {
      connected: () => setLink('live'),
      ping: (received) => {
        if (!received) unanswered = setTimeout(() => socket?.terminate(), ANSWER_WITHIN_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(unanswered);
      },
      closed: (event) => {
        clearTimeout(unanswered);
        if (isClose(event) && event.code === NORMAL_CLOSURE) setLink('connecting');
        else if (isClose(event) && event.code === FORBIDDEN) refuseSession(withoutCode(event.reason));
        else setLink('reconnecting');
      },
    },
  });
  return socket;
}

onSessionChange(() => {
  // A connection that was refused while it was being made ends with its refusal, which is known already.
  Promise.resolve(socket?.dispose()).catch(() => {});
  socket = null;
});

const isClose = (event: unknown): event is CloseEvent => event instanceof CloseEvent;
const withoutCode = (reason: string) => reason.replace(/^UNAUTHENTICATED: /, '');

/** Follows a subscription until the answered function is called. It is begun anew after every reconnect. */
export function subscribe<Result, Variables extends Record<string, unknown>>(
  document: TypedDocumentString<Result, Variables>,
  variables: Variables,
  sink: Sink<Result>,
): () => void {
  let over = false;
  const stop = connection().subscribe<Result>(
    { query: document.toString(), variables },
    {
      next: ({ data, errors }) => {
        if (over) return;
        if (errors?.[0]) {
          over = true;
          sink.error(toApiError(errors[0]));
        } else if (data) sink.next(data);
      },
      error: (failure) => {
        if (over) return;
        over = true;
        if (Array.isArray(failure) && failure[0]) sink.error(toApiError(failure[0]));
        else sink.error(new ApiError('The live connection has ended', 'NETWORK'));
      },
      complete: () => {
        if (!over) sink.complete?.();
      },
    },
  );
  return () => {
    over = true;
    stop();
  };
}

export interface Follower<Result> {
  readonly next: (data: Result) => void;
  /** Why nothing comes. What passes is begun anew meanwhile, and the next delivery ends the error. */
  readonly error: (error: ApiError) => void;
  /** Deliveries were missed; those that come now begin with the present state. */
  readonly interrupted?: () => void;
  /** It delivers events, and at its beginning nothing: the lamp cannot wait for that. */
  readonly silentStart?: boolean;
}

/**
 * Follows a subscription that has no end, until the answered function is called: also one that the server ends, because
 * it cannot read its database or is going to stop. Meanwhile the lamp says that the values are not live.
 */
export function follow<Result, Variables extends Record<string, unknown>>(
  document: TypedDocumentString<Result, Variables>,
  variables: Variables,
  { next, error, interrupted, silentStart = false }: Follower<Result>,
): () => void {
  const name = {};
  const session = currentSession();
  let retries = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stop = () => {};
  const again = () => {
    // What one caller followed is not for the next, and without credentials it would be refused again.
    if (currentSession() !== session) return setInterrupted(name, false);
    if (!silentStart) setInterrupted(name, true);
    interrupted?.();
    timer = setTimeout(begin, waitBefore(retries));
    retries += 1;
  };
  const begin = () => {
    if (currentSession() !== session) return setInterrupted(name, false);
    const stopHearing = connection().on('closed', () => interrupted?.());
    const stopFeed = subscribe(document, variables, {
      next: (data) => {
        retries = 0;
        setInterrupted(name, false);
        next(data);
      },
      error: (failure) => {
        stop();
        error(failure);
        if (PASSING.has(failure.code)) again();
        else setInterrupted(name, false);
      },
      complete: () => {
        stop();
        again();
      },
    });
    stop = () => {
      stopHearing();
      stopFeed();
    };
  };
  begin();
  return () => {
    clearTimeout(timer);
    stop();
    setInterrupted(name, false);
  };
}
