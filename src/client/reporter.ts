/**
 * Sends the totals of a side, one report at a time and the newest last. While one is on its way, later ones become one:
 * totals replace each other, so nothing is lost, a slow or absent server costs no memory, and nothing overtakes.
 */
import type { Features } from './features.ts';
import { Again, type Http } from './http.ts';
import type { CanaryStatus, CLOSED, DomainError, Side, STOOD_DOWN } from './operations.ts';
import type { Figures } from './totals.ts';
import { createBackoff, sleep } from './wait.ts';

/** What became of a report. */
export interface ReportResult {
  /** Whether the figures are on disk, or were replaced by newer ones that are. */
  readonly success: boolean;
  /** What happened, for a person. */
  readonly message: string;
  /** Why they were refused; null where they were taken. */
  readonly error: DomainError | null;
  /** The status of the deployment after the report. */
  readonly status: CanaryStatus | null;
  /** Whether newer figures were there already: nothing was changed. */
  readonly stale: boolean;
}

interface Answered {
  readonly result: {
    readonly success: boolean;
    readonly message: string;
    readonly error: DomainError | null;
    readonly deployment: { readonly status: CanaryStatus } | null;
    readonly stale?: boolean;
    readonly now?: string;
    readonly clockRate?: number;
    readonly leaseSeconds?: number | null;
  };
}

export interface ReporterOptions {
  readonly http: Http;
  readonly features: Features;
  readonly deploymentId: string;
  readonly side: Side;
  /** The name of this run of the bot, where the server knows sessions. */
  readonly session: string;
  /** Aborted when nothing is sent any more. */
  readonly signal: AbortSignal;
  /** The answer to what was not sent. */
  readonly unsent: () => typeof CLOSED | typeof STOOD_DOWN;
  readonly onAnswer: (sentAt: number, leaseSeconds: number | null) => void;
  readonly onNotice: (sentence: string) => void;
}

export interface Reporter {
  /** Resolves when these figures, or newer ones that replaced them, are on disk or refused; with `unsent` after that. */
  report(figures: Figures): Promise<ReportResult>;
  /** Resolves when nothing is on its way. */
  settled(): Promise<void>;
}

interface Waiting {
  readonly figures: Figures;
  readonly takenAt: number;
  readonly done: PromiseWithResolvers<ReportResult>[];
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function createReporter(options: ReporterOptions): Reporter {
  const { http, features, deploymentId, side, session, signal } = options;
  const mutation = side === 'CANARY' ? 'updateCanaryMetrics' : 'updateStableMetrics';
  const extras = (['stale', 'now', 'clockRate', 'leaseSeconds'] as const).filter((name) =>
    features.has(name),
  );
  const query = `mutation ($input: UpdateMetricsInput!) { result: ${mutation}(input: $input) {
    success message error { code message path } deployment { status } ${extras.join(' ')} } }`;
  let waiting: Waiting | null = null;
  let sending: Promise<void> | null = null;
  let sequence = 0;
  let superseded = false;
  /** Serin's clock, as of the last answer that named it. */
  let clock: { readonly now: number; readonly rate: number; readonly at: number } | null = null;

  async function sendAll(): Promise<void> {
    const backoff = createBackoff();
    while (waiting) {
      const current: Waiting = waiting;
      waiting = null;
      try {
        const result = await send(current);
        for (const { resolve } of current.done) resolve(result);
        backoff.reset();
      } catch (error) {
        if (signal.aborted) {
          for (const { resolve } of current.done)
            resolve({ ...options.unsent(), status: null, stale: false });
          continue;
        }
        if (!(error instanceof Again)) {
          for (const { reject } of current.done) reject(error);
          continue;
        }
        waiting = replace(current, waiting);
        const wait = Math.max(error.afterMs ?? 0, backoff.next());
        options.onNotice(
          `a report was not answered (${error.message}); the newest totals are sent again in ${Math.round(wait)} ms`,
        );
        await sleep(wait, signal);
      }
    }
    sending = null;
  }

  async function send({ figures, takenAt }: Waiting): Promise<ReportResult> {
    const sentAt = performance.now();
    const input = { deploymentId, ...figures, ...identity(takenAt) };
    const { result } = await http.attempt<Answered>(query, { input }, signal);
    if (result.now !== undefined) {
      clock = { now: Date.parse(result.now), rate: result.clockRate ?? 1, at: performance.now() };
    }
    options.onAnswer(sentAt, result.leaseSeconds ?? null);
    const { success, message, error, deployment, stale = false } = result;
    // Reports of one run never overtake each other: the newer one is of another run.
    if (stale && !superseded) {
      options.onNotice(
        `figures of the ${side.toLowerCase()} of ${deploymentId} were not taken, because another process reports for it since: stop one of the two`,
      );
    }
    superseded = stale;
    return { success, message, error, status: deployment?.status ?? null, stale };
  }

  /** What lets the server order two reports, if known. */
  function identity(takenAt: number): Readonly<Record<string, unknown>> {
    sequence += 1;
    const asOf = clock && new Date(clock.now + (takenAt - clock.at) * clock.rate).toISOString();
    return {
      ...(features.has('session') ? { session } : {}),
      ...(features.has('sequence') ? { sequence } : {}),
      ...(features.has('asOf') && asOf ? { asOf } : {}),
    };
  }

  return {
    report(figures) {
      const done = withResolvers<ReportResult>();
      waiting = replace(waiting, { figures, takenAt: performance.now(), done: [done] });
      sending ??= sendAll();
      return done.promise;
    },
    async settled() {
      await sending;
    },
  };
}

/** The newer figures over the older ones; everybody who waits for either is answered by the one report. */
function replace(older: Waiting | null, newer: Waiting | null): Waiting | null;
function replace(older: Waiting | null, newer: Waiting): Waiting;
function replace(older: Waiting | null, newer: Waiting | null): Waiting | null {
  if (!older || !newer) return newer ?? older;
  return {
    figures: { ...older.figures, ...newer.figures },
    takenAt: newer.takenAt,
    done: [...older.done, ...newer.done],
  };
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
