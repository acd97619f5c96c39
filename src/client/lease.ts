/**
 * How long a bot may hold its capital without an answer from Serin. Counted on this machine's monotonic clock from
 * the moment at which the last answered request was sent, so that a bot never stands down later than Serin assumes.
 */
export interface Lease {
  /** A request that was sent at this moment (`performance.now()`) was answered; the server may name the duration. */
  answered(sentAt: number, seconds?: number | null): void;
  /** Whether it ran out and no request has been answered since. */
  readonly expired: boolean;
  /** Milliseconds between two signs of life that keep it; null where there is no lease. */
  readonly beatMs: number | null;
  stop(): void;
}

/**
 * @param seconds of the bot's own choosing, or null: then only a lease that the server gives counts. The shorter wins.
 * @param onChange called when it runs out, and when a request is answered after that
 */
export function createLease(seconds: number | null, onChange: () => void): Lease {
  let lasts = seconds;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let expired = false;
  let stopped = false;
  const expire = () => {
    expired = true;
    onChange();
  };
  return {
    answered(sentAt, given) {
      if (given) lasts = seconds === null ? given : Math.min(seconds, given);
      if (lasts === null || stopped) return;
      clearTimeout(timer);
      timer = setTimeout(expire, Math.max(0, sentAt + lasts * 1000 - performance.now()));
      if (!expired) return;
      expired = false;
      onChange();
    },
    get expired() {
      return expired;
    },
    get beatMs() {
      return lasts === null ? null : (lasts * 1000) / 3;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
