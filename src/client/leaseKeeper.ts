/**
 * Keeps the lease of one side: sends heartbeats, and stands down when it runs out. From then on nothing of this run is
 * sent before Serin knows that the side stood down.
 */
import { messageOf, SerinError } from './errors.ts';
import type { Features } from './features.ts';
import type { Http } from './http.ts';
import { createLease } from './lease.ts';
import { type CanaryStatus, HEARTBEAT, isEnded, LIFE, type Side } from './operations.ts';
import { joinSignals, underSignals } from './signals.ts';
import { createBackoff, sleep } from './wait.ts';

/** Whose lease it is, and what is called when it changes. */
export interface LeaseKeeperOptions {
  readonly http: Http;
  readonly features: Features;
  readonly deploymentId: string;
  readonly side: Side;
  readonly session: string;
  /** Seconds without an answer after which the side stands down whatever the deployment says; null: never. */
  readonly ownSeconds: number | null;
  /** Aborted when the side is closed. */
  readonly closing: AbortSignal;
  readonly notice: (sentence: string) => void;
  /** The bot closes its positions. */
  readonly onStandDown: () => unknown;
  /** Called when the side must hold nothing, or what is asked for again. */
  readonly onChange: () => void;
  /** Called when an answer shows that the deployment has ended. */
  readonly onEnd: () => void;
}

/** The lease of one side. */
export interface LeaseKeeper {
  /** A request that was sent at this moment was answered; see `Lease.answered`. */
  answered(sentAt: number, seconds?: number | null): void;
  /** Whether the side must hold nothing now. */
  readonly expired: boolean;
  /** Aborted when the lease of the deployment has run out. */
  readonly lost: AbortSignal;
  /** Resolves when Serin knows that this side stood down, or need not. */
  readonly serverKnows: Promise<void>;
  /** Sends the next heartbeat now. */
  beatNow(): void;
  /** The deployment has ended: nothing runs out any more. */
  stop(): void;
}

/**
 * Between two heartbeats that ask whether there is a lease; and the longest wait between two that tell Serin that the side
 * stood down.
 */
const ASK_AGAIN_MS = 1000;
/** The least time that a heartbeat may take, however short the lease. */
const SHORTEST_LIMIT_MS = 1000;

interface Beaten {
  readonly success: boolean;
  readonly leaseSeconds: number | null;
  readonly deployment: { readonly status: CanaryStatus } | null;
}

/** Begins to send heartbeats; they end with the lease, with `stop`, or when the side is closed. */
export function keepLease(options: LeaseKeeperOptions): LeaseKeeper {
  const { http, features, deploymentId, side, closing, notice } = options;
  const name = `the ${side.toLowerCase()} of ${deploymentId}`;
  const lost = new AbortController();
  const stopping = new AbortController();
  let serverKnows: Promise<void> = Promise.resolve();
  let awake = new AbortController();
  const lease = createLease(options.ownSeconds, () => {
    notice(
      lease.expired
        ? `${name} has not reached Serin for too long: it stands down`
        : `${name} has reached Serin again`,
    );
    if (lease.lost && !lost.signal.aborted) standDown();
    options.onChange();
  });
  void beat();

  function standDown(): void {
    lost.abort();
    serverKnows = tellServer();
    void callBack();
  }

  async function callBack(): Promise<void> {
    try {
      await options.onStandDown();
    } catch (error) {
      notice(`onStandDown of ${name} failed: ${messageOf(error)}`);
    }
  }

  async function tellServer(): Promise<void> {
    const backoff = createBackoff(ASK_AGAIN_MS);
    while (!closing.aborted) {
      try {
        await sendHeartbeat(closing, { stoodDown: true });
        return;
      } catch (error) {
        if (error instanceof SerinError) {
          notice(`Serin refused to hear that ${name} stood down: ${error.message}`);
          return;
        }
        await sleep(backoff.next(), closing);
      }
    }
  }

  /** Keeps the lease of a bot that has nothing to report. The first heartbeat asks whether there is one. */
  async function beat(): Promise<void> {
    const { signal, release } = joinSignals(closing, lost.signal, stopping.signal);
    let asks = side === 'CANARY' && features.has('heartbeat');
    const backoff = createBackoff(ASK_AGAIN_MS);
    while (!signal.aborted) {
      const beaten = asks || lease.beatMs !== null ? await beatOnce(signal) : 'REFUSED';
      asks &&= beaten !== 'ACCEPTED';
      if (beaten !== 'UNANSWERED') backoff.reset();
      // Without a lease there is nothing to do before an answer brings one.
      const planned = lease.beatMs ?? (asks ? ASK_AGAIN_MS : null);
      // One that was not answered is sent again soon, to another node where there is one: the lease goes on.
      const wait = planned !== null && beaten === 'UNANSWERED' ? Math.min(planned, backoff.next()) : planned;
      await underSignals([signal, awake.signal], (woken) => sleep(wait, woken));
      awake = new AbortController();
    }
    release();
  }

  async function beatOnce(signal: AbortSignal): Promise<'ACCEPTED' | 'REFUSED' | 'UNANSWERED'> {
    const sentAt = performance.now();
    // A node that hangs must not take the whole lease.
    const withinMs = lease.beatMs === null ? undefined : Math.max(lease.beatMs, SHORTEST_LIMIT_MS);
    try {
      if (!features.has('heartbeat')) {
        await http.attempt(LIFE, { id: deploymentId }, signal, withinMs);
        lease.answered(sentAt);
        return 'ACCEPTED';
      }
      const { success, leaseSeconds } = await sendHeartbeat(signal, {}, withinMs);
      lease.answered(sentAt, leaseSeconds);
      return success ? 'ACCEPTED' : 'REFUSED';
    } catch (error) {
      if (!(error instanceof SerinError)) return 'UNANSWERED';
      notice(`a heartbeat was refused: ${error.message}`);
      return 'REFUSED';
    }
  }

  /** An answer that brings a lease begins its heartbeats. */
  function answered(sentAt: number, seconds?: number | null): void {
    const before = lease.beatMs;
    lease.answered(sentAt, seconds);
    if (before === null && lease.beatMs !== null) awake.abort();
  }

  async function sendHeartbeat(
    signal: AbortSignal,
    more: { readonly stoodDown?: true } = {},
    withinMs?: number,
  ): Promise<Beaten> {
    const session = features.has('session') ? { session: options.session } : {};
    const input = { deploymentId, side, ...session, ...more };
    const { heartbeat } = await http.attempt<{ heartbeat: Beaten }>(HEARTBEAT, { input }, signal, withinMs);
    if (heartbeat.deployment && isEnded(heartbeat.deployment.status)) options.onEnd();
    return heartbeat;
  }

  return {
    answered,
    get expired() {
      return lease.expired;
    },
    lost: lost.signal,
    get serverKnows() {
      return serverKnows;
    },
    beatNow: () => awake.abort(),
    stop() {
      stopping.abort();
      lease.stop();
    },
  };
}
