/**
 * The capital that one side is asked to hold, as its bot receives it: the newest request, or a capital of 0 while the lease
 * has run out; and the bot's answers to it.
 */
import { type Allocation, createSlot, hasAnswered, shareOf } from './allocations.ts';
import { toUnits } from './decimals.ts';
import { addressesOf, type Endpoint } from './endpoint.ts';
import { messageOf } from './errors.ts';
import type { Features } from './features.ts';
import { followState } from './followFeed.ts';
import type { LeaseKeeper } from './leaseKeeper.ts';
import {
  allocationsDocument,
  CLOSED,
  type CommandInputs,
  type CommandResult,
  type Holding,
  isEnded,
  type Side,
} from './operations.ts';
import { joinSignals, underSignals } from './signals.ts';

const REPLACED: CommandResult = {
  success: false,
  replayed: false,
  message: 'Another allocation has replaced this one before it was answered',
  error: { code: 'REPLACED', message: 'Another allocation has replaced this one', path: [] },
  deployment: null,
};

/** What the capital of a side depends on. */
export interface AllocationFeedOptions {
  readonly endpoint: Endpoint;
  readonly features: Features;
  readonly deploymentId: string;
  readonly side: Side;
  readonly lease: LeaseKeeper;
  /** Aborted when the side is closed. */
  readonly closing: AbortSignal;
  readonly notice: (sentence: string) => void;
  readonly acknowledge: (
    input: CommandInputs['acknowledgeAllocation'],
    signal: AbortSignal,
  ) => Promise<CommandResult>;
  /** Called when the last allocation of the deployment was taken. */
  readonly onEnd: () => void;
}

/** What a bot says that it holds. */
interface Answer {
  readonly number: number;
  readonly heldUsd: string | number;
  readonly openExposureUsd: string | number | undefined;
}

/** The allocations of one side, and its answers to them. */
export class AllocationFeed {
  readonly #options: AllocationFeedOptions;
  #offer: () => void = () => {};

  constructor(options: AllocationFeedOptions) {
    this.#options = options;
  }

  /** The lease ran out, or a request was answered after it had: the bot is given what counts now. */
  leaseChanged(): void {
    this.#offer();
  }

  /** See `DeploymentSide.allocations`. */
  async *allocations(): AsyncGenerator<Allocation, void, void> {
    const { deploymentId, lease, closing, notice } = this.#options;
    const slot = createSlot<Allocation>();
    const leaving = new AbortController();
    const { signal, release } = joinSignals(leaving.signal, closing);
    let latest: Holding | null = null;
    /** Aborted when the allocation that the bot has is replaced by another. */
    let replaced = new AbortController();
    const offer = () => {
      const next = new AbortController();
      const allocation = latest && this.#read(latest, next.signal);
      if (latest && !allocation && !isEnded(latest.status)) {
        notice(`${deploymentId} has no capital yet: waiting for deployCanary`);
      }
      if (!allocation) return;
      replaced.abort();
      replaced = next;
      slot.put(allocation);
    };
    this.#offer = offer;
    const following = this.#follow(signal, (holding) => {
      const before = latest;
      latest = holding;
      const news = !before || holding.allocation?.number !== before.allocation?.number;
      // With the first capital the lease begins.
      if (news) lease.beatNow();
      const hasEnded = isEnded(holding.status);
      if (news || (hasEnded && holding.status !== before?.status)) offer();
      if (!hasEnded) return;
      // What is asked for now stays so: a side that cannot reach Serin any more keeps it.
      lease.stop();
      slot.close();
    }).then(
      // A side that is closed has no more of them.
      () => slot.close(),
      (error: unknown) => slot.close(error),
    );
    try {
      for (let next = await slot.take(); next; next = await slot.take()) {
        yield next;
        if (next.final) break;
      }
      if (!signal.aborted) this.#options.onEnd();
    } finally {
      this.#offer = () => {};
      leaving.abort();
      await following;
      release();
    }
  }

  async #follow(signal: AbortSignal, onState: (holding: Holding) => void): Promise<void> {
    const { endpoint, features, deploymentId, notice } = this.#options;
    const states = followState<Holding>({
      ...endpoint,
      url: addressesOf(endpoint),
      query: allocationsDocument(features.has('rollbackPlan')),
      variables: { id: deploymentId },
      signal,
      onDisconnect: (reason, waitMs) =>
        notice(`the feed of allocations broke (${messageOf(reason)}); resumed in ${Math.round(waitMs)} ms`),
    });
    for await (const state of states) onState(state);
  }

  /**
   * The request that counts now for this side, or null where nothing was requested yet.
   * @param replaced aborted when another counts
   */
  #read({ status, allocation, config }: Holding, replaced: AbortSignal): Allocation | null {
    if (!allocation) return null;
    const { deploymentId, side, lease, notice } = this.#options;
    const final = isEnded(status);
    const standDown = lease.expired && !final;
    const capitalUsd = standDown ? '0' : shareOf(side, allocation);
    const { number, totalUsd } = allocation;
    const rollbackPlan = (standDown ? config?.rollbackPlan : allocation.rollbackPlan) ?? null;
    const mustClose = rollbackPlan?.positions === 'CLOSE' && toUnits(capitalUsd, 'capitalUsd') === 0n;
    return {
      number,
      cause: standDown ? 'LEASE_EXPIRED' : allocation.cause,
      capitalUsd,
      totalUsd,
      rollbackPlan,
      final,
      acknowledged: !standDown && hasAnswered(side, allocation),
      acknowledge: (heldUsd = capitalUsd, openExposureUsd) => {
        if (standDown && lease.lost.aborted) return lease.serverKnows.then(() => REPLACED);
        if (mustClose && openExposureUsd === undefined) {
          notice(
            `the ${side.toLowerCase()} of ${deploymentId} is to close its positions: acknowledge with openExposureUsd, or allocation ${number} never settles`,
          );
        }
        return this.#acknowledge({ number, heldUsd, openExposureUsd }, replaced);
      },
    };
  }

  async #acknowledge(
    { number, heldUsd, openExposureUsd }: Answer,
    replaced: AbortSignal,
  ): Promise<CommandResult> {
    const { features, deploymentId, side, lease, closing } = this.#options;
    const open = features.has('rollbackPlan') ? { openExposureUsd } : {};
    const input = { deploymentId, number, side, heldUsd, ...open };
    const sentAt = performance.now();
    await lease.serverKnows;
    if (replaced.aborted) return REPLACED;
    try {
      const result = await underSignals([replaced, closing], (signal) =>
        this.#options.acknowledge(input, signal),
      );
      lease.answered(sentAt);
      return result;
    } catch (error) {
      // A bot that waits for this answer must learn that it has to stand down.
      if (replaced.aborted) return REPLACED;
      if (closing.aborted) return { ...CLOSED, replayed: false, deployment: null };
      throw error;
    }
  }
}
