/**
 * One side of a deployment, as the bot that trades it uses it. The rules of reporting and of capital are kept here, so
 * that a bot author cannot forget them: totals continue after a restart, reports never overtake each other, capital is
 * acknowledged, and a bot that cannot reach Serin stands down automatically.
 */
import { type Allocation, createSlot, hasAnswered, shareOf } from './allocations.ts';
import { addressesOf, type Endpoint } from './endpoint.ts';
import { messageOf, SerinError } from './errors.ts';
import { type Features, readFeatures } from './features.ts';
import { followState } from './followFeed.ts';
import type { Http } from './http.ts';
import { createLease, type Lease } from './lease.ts';
import {
  ALLOCATIONS,
  CLOSED,
  type CommandInputs,
  type CommandResult,
  type Holding,
  isEnded,
  OPENING,
  type Opening,
  RECORD_TRADES,
  type Side,
  type SideFigures,
  type Trade,
  type TradesResult,
} from './operations.ts';
import { createReporter, type Reporter, type ReportResult } from './reporter.ts';
import { continueFrom, readTotals, type Totals } from './totals.ts';
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
   * Stand down after this many seconds without an answered request: `allocations()` then yields a capital of 0. A lease
   * that the deployment sets counts too; the shorter wins. No lease of its own unless given.
   */
  readonly standDownAfterSeconds?: number | undefined;
}

/** A batch of `recordTrades`. */
const MOST_TRADES = 1000;
/** Between two questions whether the deployment is there. */
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
  #onLease: () => void = () => {};
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
    this.#lease = createLease(options.standDownAfterSeconds ?? null, () => {
      context.notice(
        this.#lease.expired
          ? `${this.#name} has not reached Serin for too long: it stands down`
          : `${this.#name} has reached Serin again`,
      );
      this.#onLease();
    });
    this.#reporter = createReporter({
      http: context.http,
      features,
      deploymentId: this.deploymentId,
      side: this.side,
      session: this.session,
      signal: this.#closing.signal,
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
   * and so is `CLOSED` where this side was closed first.
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
   * a trade counts once by its id. Resolves when all are on disk or refused, or with `CLOSED` where this side was closed
   * first: then later batches were not sent.
   */
  async recordTrades(trades: readonly Trade[]): Promise<TradesResult> {
    let all: TradesResult = { success: true, message: '', error: null, taken: 0, known: 0, refused: [] };
    for (let from = 0; from === 0 || from < trades.length; from += MOST_TRADES) {
      const sentAt = performance.now();
      const input = {
        deploymentId: this.deploymentId,
        side: this.side,
        trades: trades.slice(from, from + MOST_TRADES),
      };
      const part = await this.#record(input);
      if (!part) return { ...all, ...CLOSED };
      this.#lease.answered(sentAt);
      const refused = part.refused.map((trade) => {
        const index = trade.index + from;
        return { ...trade, id: trades[index]?.id ?? '', index };
      });
      all = {
        success: all.success && part.success,
        message: part.message,
        error: all.error ?? part.error,
        taken: all.taken + part.taken,
        known: all.known + part.known,
        refused: [...all.refused, ...refused],
      };
    }
    return all;
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
      if (news || (changed && isEnded(holding.status))) offer();
      if (isEnded(holding.status)) slot.close();
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

  get #name(): string {
    return `the ${this.side.toLowerCase()} of ${this.deploymentId}`;
  }

  async #follow(signal: AbortSignal, onState: (holding: Holding) => void): Promise<void> {
    const { endpoint, notice } = this.#context;
    const states = followState<Holding>({
      ...endpoint,
      url: addressesOf(endpoint),
      query: ALLOCATIONS,
      variables: { id: this.deploymentId },
      signal,
      onDisconnect: (reason, waitMs) =>
        notice(`the feed of allocations broke (${messageOf(reason)}); resumed in ${Math.round(waitMs)} ms`),
    });
    for await (const state of states) onState(state);
  }

  /** The request that counts now for this side, or null where nothing was requested yet. */
  #read({ status, allocation }: Holding): Allocation | null {
    if (!allocation) return null;
    const final = isEnded(status);
    const standDown = this.#lease.expired && !final;
    const capitalUsd = standDown ? '0' : shareOf(this.side, allocation);
    const { number, totalUsd } = allocation;
    return {
      number,
      cause: standDown ? 'LEASE_EXPIRED' : allocation.cause,
      capitalUsd,
      totalUsd,
      final,
      acknowledged: !standDown && hasAnswered(this.side, allocation),
      acknowledge: (heldUsd = capitalUsd) => this.#acknowledge(number, heldUsd),
    };
  }

  async #acknowledge(number: number, heldUsd: string | number): Promise<CommandResult> {
    const { deploymentId, side } = this;
    const { signal: replaced } = this.#replaced;
    const signal = AbortSignal.any([replaced, this.#closing.signal]);
    const sentAt = performance.now();
    try {
      const result = await this.#context.acknowledge({ deploymentId, number, side, heldUsd }, signal);
      this.#lease.answered(sentAt);
      return result;
    } catch (error) {
      // A bot that waits for this answer must learn that it has to stand down.
      if (replaced.aborted) return REPLACED;
      if (this.#closing.signal.aborted) return { ...CLOSED, replayed: false, deployment: null };
      throw error;
    }
  }

  /** One batch of trades; null when this side was closed before the answer. */
  async #record(input: Readonly<Record<string, unknown>>): Promise<TradesResult | null> {
    const { signal } = this.#closing;
    try {
      const { recordTrades } = await this.#context.http.send<{ recordTrades: TradesResult }>(
        RECORD_TRADES,
        { input },
        signal,
      );
      return recordTrades;
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  /** Keeps the lease of a bot that has nothing to report. */
  async #beat(): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, this.#over.signal]);
    const { http } = this.#context;
    const { deploymentId, side, session } = this;
    const [query, variables] = this.#features.has('heartbeat')
      ? [
          'mutation ($input: HeartbeatInput!) { heartbeat(input: $input) { success } }',
          { input: { deploymentId, side, session } },
        ]
      : ['query ($id: ID!) { deployment(id: $id) { status } }', { id: deploymentId }];
    while (!signal.aborted) {
      await sleep(this.#lease.beatMs ?? LOOK_AGAIN_MS, signal);
      if (this.#lease.beatMs === null || signal.aborted) continue;
      const sentAt = performance.now();
      try {
        await http.attempt(query, variables, signal);
        this.#lease.answered(sentAt);
      } catch (error) {
        if (error instanceof SerinError) this.#context.notice(`a sign of life was refused: ${error.message}`);
      }
    }
  }
}

/** A name that no other run has; `crypto.randomUUID` is not there on pages without TLS. */
export function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
