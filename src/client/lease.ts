/**
 * How long a bot may hold its capital without an answer from Serin. Counted on this machine's monotonic clock from
 * the moment at which the last answered request was sent, so that a bot never stands down later than Serin assumes.
 */
export interface Lease {
  /**
   * A request that was sent at this moment (`performance.now()`) was answered.
   * @param seconds that the lease of the deployment lasts from then on; null where the answer does not prolong it
   */
  answered(sentAt: number, seconds?: number | null): void;
  /** Whether the side must hold nothing now. */
  readonly expired: boolean;
  /** Whether the lease of the deployment ran out: the trial is over, and no answer brings it back. */
  readonly lost: boolean;
  /** Milliseconds between two heartbeats that keep it; null where there is no lease. */
  readonly beatMs: number | null;
  stop(): void;
}

/**
 * @param ownSeconds of the bot's own choosing, or null. Any answer prolongs it, also after it ran out.
 * @param onChange called when a lease runs out, and when a request is answered after the bot's own has
 */
export function createLease(ownSeconds: number | null, onChange: () => void): Lease {
  const own = createCountdown(onChange);
  const given = createCountdown(onChange);
  let givenSeconds: number | null = null;
  let stopped = false;
  return {
    answered(sentAt, seconds = null) {
      if (stopped) return;
      // An answer that comes after the end is too late, even if the timer is later still.
      given.check();
      if (seconds !== null && !given.over) {
        givenSeconds = seconds;
        given.runUntil(sentAt + seconds * 1000);
      }
      if (ownSeconds === null) return;
      const wasOver = own.over;
      own.runUntil(sentAt + ownSeconds * 1000);
      if (wasOver && !own.over) onChange();
    },
    get expired() {
      return own.over || given.over;
    },
    get lost() {
      return given.over;
    },
    get beatMs() {
      const known = [ownSeconds, givenSeconds].filter((seconds) => seconds !== null);
      return known.length === 0 ? null : (Math.min(...known) * 1000) / 3;
    },
    stop() {
      stopped = true;
      own.stop();
      given.stop();
    },
  };
}

interface Countdown {
  readonly over: boolean;
  /** Moves its end, by `performance.now()`. Answers may come in another order than their requests were sent in. */
  runUntil(end: number): void;
  /** Ends it now if its end has passed: a timer may be late. */
  check(): void;
  stop(): void;
}

function createCountdown(onOver: () => void): Countdown {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let endsAt: number | null = null;
  let over = false;
  const check = () => {
    if (over || endsAt === null || performance.now() < endsAt) return;
    clearTimeout(timer);
    over = true;
    onOver();
  };
  const startTimer = (end: number) => {
    clearTimeout(timer);
    // A timer may fire a little early.
    timer = setTimeout(() => (performance.now() < end ? startTimer(end) : check()), end - performance.now());
  };
  return {
    get over() {
      return over;
    },
    runUntil(end) {
      const before = over ? performance.now() : endsAt;
      if (before !== null && end <= before) return;
      endsAt = end;
      over = false;
      startTimer(end);
    },
    check,
    stop() {
      clearTimeout(timer);
      endsAt = null;
    },
  };
}
