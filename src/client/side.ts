/**
 * One side of a deployment, as the bot that trades it uses it. The rules of reporting and of capital are kept here, so
 * that a bot author cannot forget them: totals continue after a restart, reports never overtake each other, capital is
 * acknowledged, and a bot that cannot reach Serin stands down automatically.
 */
import { AllocationFeed } from './allocationFeed.ts';
import type { Allocation } from './allocations.ts';
import type { Endpoint } from './endpoint.ts';
import { type Features, readFeatures } from './features.ts';
import type { Http } from './http.ts';
import { keepLease, type LeaseKeeper } from './leaseKeeper.ts';
import {
  CLOSED,
  type CommandInputs,
  type CommandResult,
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
import { joinSignals } from './signals.ts';
import { continueFrom, readTotals, type Totals } from './totals.ts';
import { recordInBatches } from './trades.ts';
import { sleep } from './wait.ts';

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

/** Between two questions whether the deployment is there. */
const LOOK_AGAIN_MS = 1000;
/** The longest that a timer runs. */
const LONGEST_SECONDS = 2_147_483;

/** What callers give that no compiler has checked: a word of a command line, a number of an unset variable. */
function checkOptions({ side, standDownAfterSeconds: seconds = 1 }: SideOptions): void {
  // Any other word would be the stable side, which trades most of the capital.
  if (side !== 'CANARY' && side !== 'STABLE') {
    throw new TypeError(`side must be CANARY or STABLE, got ${JSON.stringify(side)}`);
  }
  if (!(seconds > 0 && seconds <= LONGEST_SECONDS)) {
    throw new TypeError(
      `standDownAfterSeconds must be more than 0 and at most ${LONGEST_SECONDS}, got ${String(seconds)}`,
    );
  }
}

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
  /** Aborted when the deployment has ended, as far as this side knows. */
  readonly #over = new AbortController();
  readonly #lease: LeaseKeeper;
  /** Aborted when reports and trades are not sent any more. */
  readonly #sending: AbortSignal;
  readonly #reporter: Reporter;
  readonly #capital: AllocationFeed;

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
    const { deploymentId, side, session } = this;
    const { http, notice, endpoint, acknowledge } = context;
    const closing = this.#closing.signal;
    const onEnd = () => this.#end();
    this.#lease = keepLease({
      http,
      features,
      deploymentId,
      side,
      session,
      closing,
      notice,
      onEnd,
      ownSeconds: options.standDownAfterSeconds ?? null,
      onStandDown: options.onStandDown ?? (() => {}),
      onChange: () => this.#capital.leaseChanged(),
    });
    const lease = this.#lease;
    this.#sending = joinSignals(closing, lease.lost).signal;
    this.#capital = new AllocationFeed({
      endpoint,
      features,
      deploymentId,
      side,
      lease,
      closing,
      notice,
      acknowledge,
      onEnd,
    });
    this.#reporter = createReporter({
      http,
      features,
      deploymentId,
      side,
      session,
      signal: this.#sending,
      unsent: () => this.#unsent,
      onAnswer: (sentAt, leaseSeconds) => lease.answered(sentAt, leaseSeconds),
      onNotice: notice,
    });
  }

  /**
   * Waits until the deployment is there, and reads where its side was.
   * @internal `SerinClient.side` calls it
   */
  static async open(context: SideContext, options: SideOptions): Promise<DeploymentSide> {
    checkOptions(options);
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
   * @throws {TypeError} that names the field when a number is NaN or infinite
   * @throws {SerinUnavailable} where Serin is away for longer than `retryForMs`: call it again with the same trades
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
  allocations(): AsyncGenerator<Allocation, void, void> {
    return this.#capital.allocations();
  }

  /**
   * Sends what is still to be sent, for at most the given time, and ends everything. What is not answered by then, and
   * what is asked of this side afterwards, resolves with the error code `CLOSED`; Serin may have it nevertheless.
   */
  async close(withinMs = 5000): Promise<void> {
    const settled = new AbortController();
    void this.#reporter.settled().then(() => settled.abort());
    // Ended with it: a timer that is left keeps a process alive.
    await sleep(withinMs, settled.signal);
    this.#closing.abort();
    this.#lease.stop();
  }

  #end(): void {
    this.#over.abort();
    this.#lease.stop();
  }

  /** The answer to what was not sent. */
  get #unsent(): typeof CLOSED | typeof STOOD_DOWN {
    return this.#lease.lost.aborted ? STOOD_DOWN : CLOSED;
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
}

/** A batch of trades, and how long the lease lasts from then on. */
type Recorded = TradesResult & { readonly leaseSeconds?: number | null };
