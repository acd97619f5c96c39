/** Capital that a side is asked to hold, as a bot reads it: the newest request, never one that has been replaced. */
import type { CommandResult, Holding, RollbackPlan, Side } from './operations.ts';

/** A request to hold capital, as one side reads it. */
export interface Allocation {
  /** The number of the request. */
  readonly number: number;
  /** Why it changed: `DEPLOY`, `STEP`, `PROMOTE`, `ROLLBACK`, `CANCEL`, `FAIL`, or `LEASE_EXPIRED`. */
  readonly cause: string;
  /** What this side should hold now, USD, exact. */
  readonly capitalUsd: string;
  /** What both sides hold together, USD. */
  readonly totalUsd: string;
  /** What to do with open positions where the side is to hold less; null where there is no plan, or more to hold. */
  readonly rollbackPlan: RollbackPlan | null;
  /** Whether it is the last one: the deployment has ended. */
  readonly final: boolean;
  /** Whether this side has answered it before, in an earlier run of the bot. */
  readonly acknowledged: boolean;
  /**
   * Tells Serin what the side holds now: all of it unless another amount is given. Sent until it is answered; to say the
   * same again changes nothing. Where another allocation comes first, the result is `REPLACED`: take that one.
   * `CLOSED`: the side was closed before the answer.
   * @param openExposureUsd value of the positions that are open now, long and short added up, USD. Where the plan is to
   *   `CLOSE` them and the side is to hold nothing, the allocation is settled only when this is 0.
   */
  acknowledge(heldUsd?: string | number, openExposureUsd?: string | number): Promise<CommandResult>;
}

/** A place for one thing: what was not taken yet is replaced by what is newer. */
export interface Slot<T> {
  put(value: T): void;
  /** Ends it; what is in it is still taken. */
  close(error?: unknown): void;
  /** Waits for something; null at the end. */
  take(): Promise<T | null>;
}

export function createSlot<T>(): Slot<T> {
  let held: { readonly value: T } | null = null;
  let closed: { readonly error: unknown } | null = null;
  let wake = () => {};
  return {
    put(value) {
      if (closed) return;
      held = { value };
      wake();
    },
    close(error) {
      closed ??= { error };
      wake();
    },
    async take() {
      for (;;) {
        if (held) {
          const { value } = held;
          held = null;
          return value;
        }
        if (closed?.error !== undefined) throw closed.error;
        if (closed) return null;
        await new Promise<void>((done) => {
          wake = done;
        });
      }
    },
  };
}

type Requested = NonNullable<Holding['allocation']>;

/** What a side should hold by a request. */
export function shareOf(side: Side, { canaryUsd, stableUsd }: Requested): string {
  return side === 'CANARY' ? canaryUsd : stableUsd;
}

export function hasAnswered(side: Side, { number, sides }: Requested): boolean {
  return sides.some((one) => one.side === side && one.acknowledgedNumber === number);
}
