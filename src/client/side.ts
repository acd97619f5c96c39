/**
 * One side of a deployment, as the bot that trades it uses it. The rules of reporting and of capital are kept here, so
 * that a bot author cannot forget them: totals continue after a restart, reports never overtake each other, capital is
 * acknowledged, and a bot that cannot reach Serin stands down automatically.
 */
import { type Allocation, createSlot, hasAnswered, shareOf } from './allocations.ts';
import { toUnits } from './decimals.ts';
import { addressesOf, type Endpoint } from './endpoint.ts';
import { messageOf, SerinError } from './errors.ts';
import { type Features, readFeatures } from './features.ts';
import { followState } from './followFeed.ts';
import type { Http } from './http.ts';
import { createLease, type Lease } from './lease.ts';
import {
  allocationsDocument,
  type CanaryStatus,
  CLOSED,
  type CommandInputs,
  type CommandResult,
  HEARTBEAT,
  type Holding,
  isEnded,
  OPENING,
  type Opening,
  RECORD_TRADES,
  RECORD_TRADES_LEASED,
  type Side,
  type SideFigures,
  STOOD_DOWN,
  type Trade,
  type TradesResult,
} from './operations.ts';
import { randomName } from './randomName.ts';
import { createReporter, type Reporter, type ReportResult } from './reporter.ts';
import { continueFrom, readTotals, type Totals } from './totals.ts';
import { recordInBatches } from './trades.ts';
import { createBackoff, sleep } from './wait.ts';

/** Which side of which deployment, and how its bot behaves. */
export interface SideOptions {
  /** The deployment. */
  readonly deploymentId: string;
  /** The side. */
  readonly side: Side;
  /** The name of this run of the bot; one is made unless given. Never use one twice. */
  readonly session?: string | undefined;
  /**
   * Stand down after this many seconds without an answered request: `allocations()` then yields a capital of 0, and what
   * is asked for again once a request is answered. Besides the lease that the deployment sets, which is final.
   */
  readonly standDownAfterSeconds?: number | undefined;
  /**
   * Called when the lease of the deployment has run out, at that instant and whether Serin can be reached or not: close
   * the side's positions. `allocations()` yields a capital of 0 then, too.
   */
  readonly onStandDown?: (() => unknown) | undefined;
}

/** Between two questions whether the deployment is there, or whether it has a lease. */
const LOOK_AGAIN_MS = 1000;

const REPLACED: CommandResult = {
  success: false,
  replayed: false,
  message: 'Another allocation has replaced this one before it was answered',
  error: { code: 'REPLACED', message: 'Another allocation has replaced this one', path: [] },
  deployment: null,
};

/** What a side needs of the client that opens it. */
export interface SideContext {
  readonly endpoint: Endpoint;
  readonly http: Http;
  readonly notice: (sentence: string) => void;
  readonly acknowledge: (
    input: CommandInputs['acknowledgeAllocation'],
    signal: AbortSignal,
  ) => Promise<CommandResult>;
}

/** One side of a deployment, for the bot that trades it; `SerinClient.side` opens it. */
export class DeploymentSide {
  /** The deployment. */
  readonly deploymentId: string;
  /** The side. */
  readonly side: Side;
  /** The name of this run, under which a server that knows sessions adds up its totals. */
  readonly session: string;
  readonly #context: SideContext;
  readonly #features: Features;
  /** What the side had done before this run, in runs of the bot that ended; null where it has no capital yet. */
  readonly before: SideFigures | null;
  /** What is added to the totals of this run; null where the server adds the runs up itself. */
  readonly #base: SideFigures | null;
  readonly #closing = new AbortController();
  readonly #reporter: Reporter;
  readonly #lease: Lease;
  readonly #onStandDown: () => unknown;
  #onLease: () => void = () => {};
  /** Aborted when the lease of the deployment has run out: nothing of this run is sent any more but that it stood down. */
  readonly #lost = new AbortController();
  /** Resolves when Serin knows that this side stood down. */
  #toldServer: Promise<void> = Promise.resolve();
  /** Ends the wait for the next heartbeat. */
  #beatNow: () => void = () => {};
  /** Aborted when the allocation that the bot has is replaced by another. */
  #replaced = new AbortController();
  /** Aborted when the deployment has ended: there is no capital to lose any more. */
  readonly #over = new AbortController();

  private constructor(
    context: SideContext,
    options: SideOptions,
    features: Features,
    before: SideFigures | null,
  ) {
    this.deploymentId = options.deploymentId;
    this.side = options.side;
    this.session = options.session ?? randomName();
    this.#context = context;
    this.#features = features;
    this.before = before;
    this.#base = features.has('session') ? null : before;
    this.#onStandDown = options.onStandDown ?? (() => {});
    this.#lease = createLease(options.standDownAfterSeconds ?? null, () => this.#leaseChanged());
    this.#reporter = createReporter({
      http: context.http,
      features,
      deploymentId: this.deploymentId,
      side: this.side,
      session: this.session,
      signal: this.#sending,
      unsent: () => this.#unsent,
      onAnswer: (sentAt, leaseSeconds) => this.#lease.answered(sentAt, leaseSeconds),
      onNotice: context.notice,
    });
    void this.#beat();
  }

  /**
   * Waits until the deployment is there, and reads where its side was.
   * @internal `SerinClient.side` calls it
   */
  static async open(context: SideContext, options: SideOptions): Promise<DeploymentSide> {
    const { deploymentId, side } = options;
    const features = await readFeatures(context.http);
    for (let told = false; ; told = true) {
      const sentAt = performance.now();
      const { deployment } = await context.http.send<Opening>(OPENING, { id: deploymentId });
      if (deployment) {
        const figures = side === 'CANARY' ? deployment.canaryMetrics : deployment.stableMetrics;
        const opened = new DeploymentSide(context, options, features, figures);
        opened.#lease.answered(sentAt);
        return opened;
      }
      if (!told) {
        context.notice(
          `There is no deployment ${deploymentId} yet (or this key may not see it): waiting for it`,
        );
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** Whether the deployment has ended, as far as this side knows. */
  get ended(): boolean {
    return this.#over.signal.aborted;
  }

  /**
   * Reports running totals of this run, from zero. One report is on its way at a time; what comes meanwhile replaces what
   * waits. Resolves when these totals, or newer ones, are on disk, however long Serin is away; a refusal is in the result,
   * and so is `CLOSED` where this side was closed first, or `LEASE_EXPIRED` where it stood down for good.
   * @throws {TypeError} that names the field when a figure is not a number
   * @throws {SerinError} when the caller itself is refused
   */
  async report(totals: Totals): Promise<ReportResult> {
    const figures = readTotals(totals, this.#features.has('unrealizedPnlUsd'));
    const result = await this.#reporter.report(this.#base ? continueFrom(this.#base, figures) : figures);
    if (result.status && isEnded(result.status)) this.#end();
    return result;
  }

  /**
   * Records closed trades instead of totals; Serin derives every metric. Any number, in any order, as often as you like:
   * a trade counts once by its id. Resolves when all are on disk or refused, or with `CLOSED` or `LEASE_EXPIRED` where this
   * side was closed, or stood down for good, first: then later batches were not sent.
   */
  async recordTrades(trades: readonly Trade[]): Promise<TradesResult> {
    return recordInBatches(
      trades,
      (batch) => this.#record(batch),
      () => this.#unsent,
    );
  }

  /**
   * Yields the capital this side should hold: the request of the moment first, then each newer one, over any number of
   * broken connections. A consumer that is busy gets the newest, not those that were replaced meanwhile. Ends after the
   * last one of the deployment.
   * @throws {FeedRefused} when the caller is refused
   */
  async *allocations(): AsyncGenerator<Allocation, void, void> {
    const slot = createSlot<Allocation>();
    const leaving = new AbortController();
    const signal = AbortSignal.any([leaving.signal, this.#closing.signal]);
    let latest: Holding | null = null;
    const offer = () => {
      const allocation = latest && this.#read(latest);
      if (latest && !allocation && !isEnded(latest.status)) {
        this.#context.notice(`${this.deploymentId} has no capital yet: waiting for deployCanary`);
      }
      if (!allocation) return;
      this.#replaced.abort();
      this.#replaced = new AbortController();
      slot.put(allocation);
    };
    this.#onLease = offer;
    const following = this.#follow(signal, (holding) => {
      const before = latest;
      latest = holding;
      const changed =
        holding.allocation?.number !== before?.allocation?.number || holding.status !== before?.status;
      const news = !before || holding.allocation?.number !== before.allocation?.number;
      // With the first capital the lease begins.
      if (news) this.#beatNow();
      if (news || (changed && isEnded(holding.status))) offer();
      if (!isEnded(holding.status)) return;
      // What is asked for now stays so: a side that cannot reach Serin any more keeps it.
      this.#lease.stop();
      slot.close();
    }).catch((error: unknown) => slot.close(error));
    try {
      for (let next = await slot.take(); next; next = await slot.take()) {
        yield next;
        if (next.final) break;
      }
      if (!signal.aborted) this.#end();
    } finally {
      this.#onLease = () => {};
      leaving.abort();
      await following;
    }
  }

  /**
   * Sends what is still to be sent, for at most the given time, and ends everything. What is not answered by then, and
   * what is asked of this side afterwards, resolves with the error code `CLOSED`; Serin may have it nevertheless.
   */
  async close(withinMs = 5000): Promise<void> {
    await Promise.race([this.#reporter.settled(), sleep(withinMs)]);
    this.#closing.abort();
    this.#lease.stop();
  }

  #end(): void {
    this.#over.abort();
    this.#lease.stop();
  }

  /** Aborted when reports and trades are not sent any more. */
  get #sending(): AbortSignal {
    return AbortSignal.any([this.#closing.signal, this.#lost.signal]);
  }

  /** The answer to what was not sent. */
  get #unsent(): typeof CLOSED | typeof STOOD_DOWN {
    return this.#lost.signal.aborted ? STOOD_DOWN : CLOSED;
  }

  #leaseChanged(): void {
    const { expired, lost } = this.#lease;
    this.#context.notice(
      expired
        ? `${this.#name} has not reached Serin for too long: it stands down`
        : `${this.#name} has reached Serin again`,
    );
    if (lost) this.#standDown();
    this.#onLease();
  }

  /** The lease of the deployment ran out. Everything on its way is given up, so that Serin hears of this first. */
  #standDown(): void {
    if (this.#lost.signal.aborted) return;
    this.#lost.abort();
    this.#toldServer = this.#tellServer();
    void this.#callBack();
  }

  async #callBack(): Promise<void> {
    try {
      await this.#onStandDown();
    } catch (error) {
      this.#context.notice(`onStandDown of ${this.#name} failed: ${messageOf(error)}`);
    }
  }

  async #tellServer(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = createBackoff(LOOK_AGAIN_MS);
    while (!signal.aborted) {
      try {
        await this.#sendHeartbeat(signal, { stoodDown: true });
        return;
      } catch (error) {
        if (error instanceof SerinError) {
          this.#context.notice(`Serin refused to hear that ${this.#name} stood down: ${error.message}`);
          return;
        }
        await sleep(backoff.next(), signal);
      }
    }
  }

  get #name(): string {
    return `the ${this.side.toLowerCase()} of ${this.deploymentId}`;
  }

  async #follow(signal: AbortSignal, onState: (holding: Holding) => void): Promise<void> {
    const { endpoint, notice } = this.#context;
    const states = followState<Holding>({
      ...endpoint,
      url: addressesOf(endpoint),
      query: allocationsDocument(this.#features.has('rollbackPlan')),
      variables: { id: this.deploymentId },
      signal,
      onDisconnect: (reason, waitMs) =>
        notice(`the feed of allocations broke (${messageOf(reason)}); resumed in ${Math.round(waitMs)} ms`),
    });
    for await (const state of states) onState(state);
  }

  /** The request that counts now for this side, or null where nothing was requested yet. */
  #read({ status, allocation, config }: Holding): Allocation | null {
    if (!allocation) return null;
    const final = isEnded(status);
    const standDown = this.#lease.expired && !final;
    const capitalUsd = standDown ? '0' : shareOf(this.side, allocation);
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
      acknowledged: !standDown && hasAnswered(this.side, allocation),
      acknowledge: (heldUsd = capitalUsd, openExposureUsd) => {
        if (standDown && this.#lease.lost) return this.#toldServer.then(() => REPLACED);
        if (mustClose && openExposureUsd === undefined) {
          this.#context.notice(
            `${this.#name} is to close its positions: acknowledge with openExposureUsd, or allocation ${number} never settles`,
          );
        }
        return this.#acknowledge(number, heldUsd, openExposureUsd);
      },
    };
  }

  async #acknowledge(
    number: number,
    heldUsd: string | number,
    openExposureUsd: string | number | undefined,
  ): Promise<CommandResult> {
    const { deploymentId, side } = this;
    const open = this.#features.has('rollbackPlan') ? { openExposureUsd } : {};
    const input = { deploymentId, number, side, heldUsd, ...open };
    const { signal: replaced } = this.#replaced;
    const signal = AbortSignal.any([replaced, this.#closing.signal]);
    const sentAt = performance.now();
    await this.#toldServer;
    try {
      const result = await this.#context.acknowledge(input, signal);
      this.#lease.answered(sentAt);
      return result;
    } catch (error) {
      // A bot that waits for this answer must learn that it has to stand down.
      if (replaced.aborted) return REPLACED;
      if (this.#closing.signal.aborted) return { ...CLOSED, replayed: false, deployment: null };
      throw error;
    }
  }

  /** One batch of trades; null where nothing is sent any more. */
  async #record(trades: readonly Trade[]): Promise<TradesResult | null> {
    const { deploymentId, side } = this;
    const signal = this.#sending;
    const query = this.#features.has('leaseSeconds') ? RECORD_TRADES_LEASED : RECORD_TRADES;
    const sentAt = performance.now();
    try {
      const { recordTrades } = await this.#context.http.send<{ recordTrades: Recorded }>(
        query,
        { input: { deploymentId, side, trades } },
        signal,
      );
      this.#lease.answered(sentAt, recordTrades.leaseSeconds);
      return recordTrades;
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  /** Keeps the lease of a bot that has nothing to report. The first heartbeat asks whether there is one. */
  async #beat(): Promise<void> {
    const signal = AbortSignal.any([this.#sending, this.#over.signal]);
    let asks = this.side === 'CANARY' && this.#features.has('heartbeat');
    while (!signal.aborted) {
      if (asks || this.#lease.beatMs !== null) asks = !(await this.#beatOnce(signal)) && asks;
      const awake = new AbortController();
      this.#beatNow = () => awake.abort();
      await sleep(this.#lease.beatMs ?? LOOK_AGAIN_MS, AbortSignal.any([signal, awake.signal]));
    }
  }

  /** @returns whether it was accepted */
  async #beatOnce(signal: AbortSignal): Promise<boolean> {
    const sentAt = performance.now();
    try {
      if (!this.#features.has('heartbeat')) {
        await this.#context.http.attempt(LIFE, { id: this.deploymentId }, signal);
        this.#lease.answered(sentAt);
        return true;
      }
      const { success, leaseSeconds } = await this.#sendHeartbeat(signal);
      this.#lease.answered(sentAt, leaseSeconds);
      return success;
    } catch (error) {
      if (error instanceof SerinError) this.#context.notice(`a heartbeat was refused: ${error.message}`);
      return false;
    }
  }

  async #sendHeartbeat(signal: AbortSignal, more: { readonly stoodDown?: true } = {}): Promise<Beaten> {
    const { deploymentId, side } = this;
    const session = this.#features.has('session') ? { session: this.session } : {};
    const input = { deploymentId, side, ...session, ...more };
    const { heartbeat } = await this.#context.http.attempt<{ heartbeat: Beaten }>(
      HEARTBEAT,
      { input },
      signal,
    );
    if (heartbeat.deployment && isEnded(heartbeat.deployment.status)) this.#end();
    return heartbeat;
  }
}

const LIFE = 'query ($id: ID!) { deployment(id: $id) { status } }';

/** A batch of trades, and how long the lease lasts from then on. */
type Recorded = TradesResult & { readonly leaseSeconds?: number | null };

interface Beaten {
  readonly success: boolean;
  readonly leaseSeconds: number | null;
  readonly deployment: { readonly status: CanaryStatus } | null;
}
