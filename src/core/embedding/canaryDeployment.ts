/**
 * A canary deployment inside a program: the contract as a class, on the same functions as the server. It keeps its log
 * in memory (`toDict` and `fromDict` move it elsewhere), runs checks by its own timer, and is the only part of `core`
 * that reads a clock.
 */

import type { CanaryConfigInput } from '../config/parseConfig.ts';
import {
  type Archive,
  type DeploymentDocument,
  fromDocument,
  type Sample,
  toDocument,
} from '../document/document.ts';
import type { Command, SideReset } from '../lifecycle/command.ts';
import { rescheduleDeadline } from '../lifecycle/deadlines.ts';
import { impliedDecision, notWatched } from '../lifecycle/decide.ts';
import { describeCommand } from '../lifecycle/describe.ts';
import type { CanaryEvent, DecisionRecord } from '../lifecycle/events.ts';
import { type ActiveFreeze, FREEZE_BLOCKS, type FreezeBlock, type FreezeFacts } from '../lifecycle/freeze.ts';
import { begin, changeRule, type Handled, handle, type Recorded } from '../lifecycle/handle.ts';
import { dependsOnFreezes } from '../lifecycle/hold.ts';
import { mustChangeRule } from '../lifecycle/ruleChange.ts';
import {
  comparisonOf,
  type DeploymentState,
  forSides,
  isWatched,
  nextCheckAt,
  observationOf,
  reschedule,
  sideReturn,
  type Watched,
} from '../lifecycle/state.ts';
import { type DeploymentStatus, statusOf } from '../lifecycle/status.ts';
import { type FetchResult, fetchFailure, takeFetched } from '../metrics/fetched.ts';
import { type GivenReport, readReport } from '../metrics/report.ts';
import type { SideRun } from '../metrics/run.ts';
import { type MetricsBySide, NO_METRICS } from '../metrics/sideMetrics.ts';
import { type ReportFacts, takeReport } from '../metrics/takeReport.ts';
import type { Comparison } from '../rule/comparison.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import { type BreachCounts, NO_BREACHES } from '../rule/guardrails.ts';
import { type NumberInput, parseCount, parseDecimalRounded } from '../values/decimal.ts';
import { invalidInput, type Refusal, refusal } from '../values/refusal.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import { CallbackDispatcher } from './callbackDispatcher.ts';
import { type Clock, systemClock } from './clock.ts';
import { fetchMetrics } from './metricsProvider.ts';
import {
  type By,
  type CanaryResult,
  type DeployCanaryResult,
  type Embedding,
  InvalidDeployment,
  type NewCanary,
  readNewCanary,
} from './types.ts';

/** The default actor of commands, and the actor of checks. */
const OWNER = 'owner';
const SERIN = 'serin';
/** A clock that is set back by less is not worth a word. */
const NOTICED_MS = 1000;
const PROVIDER_TIMEOUT_SECONDS = 10;

const riskyOf = ({ reason = null, overrideFreeze }: By) => ({ reason, overrideFreeze });

export class CanaryDeployment {
  #state: DeploymentState;
  #metrics: MetricsBySide = NO_METRICS;
  #breaches: BreachCounts = NO_BREACHES;
  readonly #samples: Sample[] = [];
  /** Trades of sides that were imported with a document. */
  readonly #trades: Archive['trades'] = { CANARY: null, STABLE: null };
  /** What is remembered of each side's runs. */
  readonly #runs: Record<Side, SideRun | null> = { CANARY: null, STABLE: null };
  readonly #log: CanaryEvent[] = [];

  readonly #embedding: Embedding;
  readonly #clock: Clock;
  readonly #callbacks: CallbackDispatcher;
  /** The clock's latest reading, and by how much it was set back in all, milliseconds. */
  #lastRead = Number.NEGATIVE_INFINITY;
  #setBackMs = 0;
  #nextCheckAt: number | null = null;
  /** When the deadlines of its capital must be checked next. */
  #deadlineAt: number | null = null;
  /** When the canary's bot last sent a heartbeat. */
  #heartbeatAt: number | null = null;
  #monitoring: boolean;
  #callOff = () => {};
  #callOffDeadline = () => {};
  #checking: Promise<void> | null = null;
  #fetching = new AbortController();

  /**
   * A deployment in PENDING, or one that continues from an {@link Archive}.
   * @throws InvalidDeployment naming every field that breaks a rule
   */
  constructor(deployment: NewCanary | Archive, embedding: Embedding = {}) {
    this.#embedding = embedding;
    this.#clock = embedding.clock ?? systemClock;
    this.#callbacks = new CallbackDispatcher(embedding);
    this.#monitoring = embedding.monitor ?? true;
    if ('events' in deployment) {
      const { state, metrics, breaches, samples, trades, runs, events } = deployment;
      this.#state = state;
      this.#metrics = metrics;
      this.#breaches = breaches;
      this.#samples.push(...samples);
      this.#trades = trades;
      Object.assign(this.#runs, runs);
      this.#log.push(...events);
      this.#lastRead = events.at(-1)?.at ?? this.#lastRead;
      this.#nextCheckAt = nextCheckAt(state, this.#now());
      this.#deadlineAt = rescheduleDeadline(state, this.#deadlineFacts(this.#now()), false);
      this.#schedule();
      return;
    }
    const now = this.#now();
    const { state, events } = begin(readNewCanary(deployment, now), { at: now, actor: OWNER });
    this.#state = state;
    this.#log.push(...events);
    this.#callbacks.dispatch(null, events);
  }

  /**
   * A deployment that continues from its document; a live one is monitored from now on.
   * @throws InvalidDeployment with the path of each violation in the document
   */
  static fromDict(document: unknown, embedding: Embedding = {}): CanaryDeployment {
    const read = fromDocument(document);
    if (!read.ok) throw new InvalidDeployment(read.violations);
    return new CanaryDeployment(read.value, embedding);
  }

  /** The deployment as one JSON document: its log, metrics and samples. Serin's `importDeployment` takes it too. */
  toDict(): DeploymentDocument {
    return toDocument({
      state: this.#state,
      metrics: this.#metrics,
      breaches: this.#breaches,
      samples: this.#samples,
      trades: this.#trades,
      runs: { ...this.#runs },
      events: this.#log,
    });
  }

  get id(): string {
    return this.#state.id;
  }

  /** Everything that happened, oldest first. */
  get events(): readonly CanaryEvent[] {
    return [...this.#log];
  }

  /** Every decision with its inputs, oldest first. */
  get decisionHistory(): readonly DecisionRecord[] {
    return this.#log.flatMap((event) => (event.type === 'DECISION_MADE' ? [event.record] : []));
  }

  /** When the next check is due, epoch milliseconds; null while nothing is watched. */
  get nextCheckAt(): number | null {
    return this.#nextCheckAt;
  }

  getStatus(): DeploymentStatus {
    return statusOf(this.#state, this.#metrics, this.#now());
  }

  /** Compares canary and stable on the latest metrics; null before the canary is deployed. */
  comparePerformance(): Comparison | null {
    return comparisonOf(this.#state, this.#metrics);
  }

  /** Splits the capital between the sides and starts the observation. */
  deployCanary(capitalUsd: NumberInput, by: By = {}): DeployCanaryResult {
    const capital = parseDecimalRounded(capitalUsd);
    const result =
      typeof capital === 'string'
        ? this.#invalid(['capitalUsd'], capital)
        : this.#command({ type: 'DEPLOY', capitalUsd: capital, ...riskyOf(by) }, by);
    const { deploymentId, canaryCapitalUsd, stableCapitalUsd } = result.deployment;
    return { ...result, deploymentId, canaryCapitalUsd, stableCapitalUsd };
  }

  /** The canary becomes the stable version and gets all capital. */
  promoteCanary(by: By = {}): CanaryResult {
    return this.#command({ type: 'PROMOTE', ...riskyOf(by) }, by);
  }

  /** All capital goes back to the stable version. */
  rollbackCanary(by: By = {}): CanaryResult {
    return this.#plain('ROLLBACK', by);
  }

  /** Ends the trial without a decision. */
  cancelDeployment(by: By = {}): CanaryResult {
    return this.#plain('CANCEL', by);
  }

  /** Keeps both allocations and stops the observation clock. Guardrails stay active. */
  pause(by: By = {}): CanaryResult {
    return this.#plain('PAUSE', by);
  }

  resume(by: By = {}): CanaryResult {
    return this.#plain('RESUME', by);
  }

  /** Skips the rest of a step, or passes its manual gate. */
  advanceStep(by: By = {}): CanaryResult {
    return this.#command({ type: 'ADVANCE_STEP', ...riskyOf(by) }, by);
  }

  /** Resumes observation for the given minutes. Default: the length of the step. */
  extendObservation(minutes: number | null = null, by: By = {}): CanaryResult {
    return this.#command({ type: 'EXTEND', minutes, reason: by.reason ?? null }, by);
  }

  /**
   * Changes the configuration of a live deployment; what is left out stays, null switches a guardrail off. What makes it
   * safer is done immediately. What loosens it needs what a promotion needs: with `requireApproval` another actor, who asks
   * for the same. What the evidence rests on cannot change while the canary runs.
   */
  updateConfig(patch: CanaryConfigInput, by: By = {}): CanaryResult {
    return this.#command({ type: 'UPDATE_CONFIG', patch, reason: by.reason ?? null }, by);
  }

  /** Acknowledges the allocation with this number: the side now holds `heldUsd`, and says what it has in open positions. */
  acknowledgeAllocation(
    number: number,
    side: Side,
    heldUsd: NumberInput,
    by: By & { readonly openExposureUsd?: NumberInput | undefined } = {},
  ): CanaryResult {
    if (!SIDES.includes(side)) return this.#invalid(['side'], `must be ${SIDES.join(' or ')}`);
    const [counted, held] = [parseCount(number), parseDecimalRounded(heldUsd)];
    if (typeof counted === 'string') return this.#invalid(['number'], counted);
    if (typeof held === 'string') return this.#invalid(['heldUsd'], held);
    const open = by.openExposureUsd === undefined ? undefined : parseDecimalRounded(by.openExposureUsd);
    if (typeof open === 'string') return this.#invalid(['openExposureUsd'], open);
    return this.#command(
      { type: 'ACKNOWLEDGE', number: counted, side, heldUsd: held, openExposureUsd: open },
      by,
    );
  }

  /** A report of the canary: running totals. Omitted fields keep their value. Guardrails are checked immediately. */
  updateCanaryMetrics(report: GivenReport): CanaryResult {
    return this.#report('CANARY', report);
  }

  updateStableMetrics(report: GivenReport): CanaryResult {
    return this.#report('STABLE', report);
  }

  /**
   * The canary's bot lives, which prolongs the lease of its capital. With `stoodDown` it says that it has stood down, as
   * no answer reached it within the lease: the trial fails.
   */
  heartbeat(given: { readonly stoodDown?: boolean | undefined } = {}): CanaryResult {
    if (given.stoodDown) return this.#command({ type: 'STAND_DOWN' }, {});
    if (!isWatched(this.#state)) return this.#refused(notWatched(this.#state, 'heartbeats'));
    this.#heartbeatAt = this.#now();
    return this.#done('CONTINUE', 'Heartbeat of the canary side taken');
  }

  /** Starts the timer of checks. */
  start(): void {
    this.#monitoring = true;
    this.#schedule();
  }

  /** Stops checks until `start`. A check that waits for its metrics is aborted. */
  stop(): void {
    this.#monitoring = false;
    this.#callOff();
    this.#callOffDeadline();
    this.#fetching.abort();
  }

  /** Runs a check now, as the timer does. Never rejects; checks do not overlap. */
  check(): Promise<void> {
    this.#checking ??= this.#check()
      .catch((error: unknown) => {
        this.#callbacks.reportError(error, 'check');
        this.#nextCheckAt = nextCheckAt(this.#state, this.#now());
      })
      .finally(() => {
        this.#checking = null;
        this.#schedule();
      });
    return this.#checking;
  }

  async #check(): Promise<void> {
    const fetching = new AbortController();
    this.#fetching = fetching;
    const fetched = await this.#fetch(fetching.signal);
    if (fetching.signal.aborted || !isWatched(this.#state)) return;
    const applied = fetched ? this.#takeFetched(this.#state, fetched) : { failure: null, resets: [] };
    const before = this.#log.length;
    this.#apply({ type: 'CHECK', failure: applied.failure }, SERIN, applied.resets);
    this.#storeSample(this.#log.slice(before));
  }

  #takeFetched(state: Watched, fetched: BySide<FetchResult>) {
    const resets: SideReset[] = [];
    const applied = forSides((side) => {
      const answer = fetched[side];
      if (!answer.ok) return answer;
      const record = { metrics: this.#metrics[side], run: this.#runs[side] };
      const facts = this.#reportFacts(state, side);
      const taken = takeFetched(record, answer, facts);
      if (!taken.ok) return taken;
      this.#metrics = { ...this.#metrics, [side]: taken.metrics };
      this.#runs[side] = taken.run;
      if (taken.reset) resets.push({ side, ...taken.reset });
      return taken;
    });
    return { failure: fetchFailure(applied), resets };
  }

  #reportFacts({ observation }: Watched, side: Side): ReportFacts {
    const { startedAt, basis } = observation;
    return { now: this.#now(), startedAt, returned: (netPnlUsd) => sideReturn(basis[side], netPnlUsd) };
  }

  async #fetch(signal: AbortSignal): Promise<BySide<FetchResult> | null> {
    const { metricsProvider, providerTimeoutSeconds = PROVIDER_TIMEOUT_SECONDS } = this.#embedding;
    const observation = observationOf(this.#state);
    if (!metricsProvider || !observation || !isWatched(this.#state)) return null;
    const { strategyId, chain, canaryVersionId, stableVersionId } = this.#state;
    const deadline = { clock: this.#clock, milliseconds: providerTimeoutSeconds * 1000, signal };
    const target = { strategyId, chain, since: observation.startedAt };
    const ask = (side: Side, versionId: string) =>
      fetchMetrics(metricsProvider, { ...target, side, versionId }, deadline);
    const [canary, stable] = await Promise.all([
      ask('CANARY', canaryVersionId),
      ask('STABLE', stableVersionId),
    ]);
    return { CANARY: canary, STABLE: stable };
  }

  #storeSample(events: readonly CanaryEvent[]): void {
    for (const event of events) {
      if (event.type !== 'CANARY_METRICS_UPDATED') continue;
      const { check, at, decision } = event;
      this.#samples.push({ check, at, decision, metrics: this.#metrics });
    }
  }

  #report(side: Side, given: GivenReport): CanaryResult {
    if (!isWatched(this.#state)) return this.#refused(notWatched(this.#state));
    if (this.#trades[side]) {
      const message = `The ${side.toLowerCase()} side is measured by its trades, which only the server takes`;
      return this.#refused(refusal('INVALID_INPUT', message));
    }
    const read = readReport(given);
    if (!read.ok) return this.#refused(invalidInput(read.violations));
    const record = { metrics: this.#metrics[side], run: this.#runs[side] };
    const taken = takeReport(record, read.value, this.#reportFacts(this.#state, side));
    if (taken.type === 'REFUSED') {
      if (taken.record) {
        this.#metrics = { ...this.#metrics, [side]: taken.record.metrics };
        this.#runs[side] = taken.record.run;
      }
      return this.#refused(taken.refusal);
    }
    if (taken.type === 'STALE') {
      const message = `A newer report of the ${side.toLowerCase()} side came before: nothing has changed`;
      return { ...this.#done('CONTINUE', message), stale: true };
    }
    this.#metrics = { ...this.#metrics, [side]: taken.metrics };
    this.#runs[side] = taken.run;
    const resets = taken.reset ? [{ side, ...taken.reset }] : [];
    if (side === 'CANARY' || resets.length > 0)
      this.#apply({ type: 'EVALUATE_GUARDRAILS', again: side === 'STABLE' }, SERIN, resets);
    return this.#done('CONTINUE', `Metrics of the ${side.toLowerCase()} side updated`);
  }

  #plain(type: 'ROLLBACK' | 'CANCEL' | 'PAUSE' | 'RESUME', by: By): CanaryResult {
    return this.#command({ type, reason: by.reason ?? null }, by);
  }

  #command(command: Command, { actor = OWNER }: By): CanaryResult {
    const handled = this.#apply(command, actor);
    if (!handled.accepted) return this.#refused(handled.refusal);
    const { events } = handled;
    return this.#done(impliedDecision(command, events), describeCommand(command, this.#state, events));
  }

  /** Decides and records, then dispatches the events to the callbacks. */
  #apply(command: Command, actor: string, resets: readonly SideReset[] = []): Handled {
    const now = this.#now();
    const before = this.#state;
    const { stableVersionId } = before;
    const deadlines = this.#deadlineFacts(now);
    const facts = { ...deadlines, breaches: this.#breaches, stableVersionId, resets, actor };
    const present = this.#underPresentRule(now);
    const given = handle(present.state, command, facts);
    const handled = dependsOnFreezes(present.state, command, given)
      ? handle(present.state, command, { ...facts, freeze: this.#freezeFacts(now) })
      : given;
    if (!handled.accepted) return handled;
    const { state } = handled;
    const events = [...present.events, ...handled.events];
    this.#state = state;
    this.#breaches = handled.breaches;
    this.#log.push(...events);
    const wasCheck = command.type === 'CHECK';
    this.#nextCheckAt = reschedule(state, { due: this.#nextCheckAt, now, wasCheck });
    this.#deadlineAt = rescheduleDeadline(state, deadlines, command.type === 'CHECK_DEADLINES');
    this.#schedule();
    this.#callbacks.dispatch(before, events);
    return handled;
  }

  /** What the program's freezes mean now. One that cannot be asked is taken to hold. */
  #freezeFacts(now: number): FreezeFacts {
    const blocking: Partial<Record<FreezeBlock, ActiveFreeze>> = {};
    for (const block of FREEZE_BLOCKS) {
      const until = this.#frozenUntil(block, now);
      if (until === null || until <= now) continue;
      blocking[block] = {
        id: 'program',
        until: Number.isFinite(until) ? until : null,
        reason: 'option freezes',
      };
    }
    return { blocking, requestFrozenMs: 0 };
  }

  #frozenUntil(block: FreezeBlock, now: number): number | null {
    try {
      return this.#embedding.freezes?.(block, now) ?? null;
    } catch (error) {
      this.#callbacks.reportError(error, 'freezes');
      return Number.POSITIVE_INFINITY;
    }
  }

  /** A live deployment goes over to the present version of the rule before anything else is decided about it. */
  #underPresentRule(at: number): Recorded {
    const state = this.#state;
    if (!mustChangeRule(state)) return { state, events: [] };
    return changeRule(state, this.#log, { at, actor: SERIN });
  }

  /** Sets the timer of the next check. A running check sets it when it ends. */
  #schedule(): void {
    this.#scheduleDeadline();
    this.#callOff();
    this.#callOff = () => {};
    if (!this.#monitoring || this.#nextCheckAt === null || this.#checking) return;
    const wait = Math.max(0, this.#nextCheckAt - this.#now());
    this.#callOff = this.#clock.wakeIn(wait, () => void this.check());
  }

  /** The facts that deadlines of its capital depend on. */
  #deadlineFacts(now: number) {
    return { now, metrics: this.#metrics, heartbeatAt: this.#heartbeatAt, deadlineAt: this.#deadlineAt };
  }

  /** Sets the timer of the next deadline of its capital, also after its end. */
  #scheduleDeadline(): void {
    this.#callOffDeadline();
    this.#callOffDeadline = () => {};
    const due = this.#deadlineAt;
    if (!this.#monitoring || due === null) return;
    const wait = Math.max(0, due - this.#now());
    this.#callOffDeadline = this.#clock.wakeIn(wait, () => {
      this.#apply({ type: 'CHECK_DEADLINES' }, SERIN);
    });
  }

  /** The clock's time. If the clock is set back, time continues from where it was: it never stops or runs backwards. */
  #now(): number {
    const read = Math.floor(this.#clock.now());
    const back = this.#lastRead - read;
    this.#lastRead = read;
    if (back > 0) this.#setBackMs += back;
    if (back > NOTICED_MS) {
      const error = new Error(
        `the clock was set back by ${Math.round(back / 1000)} s: checks go on in watched time`,
      );
      this.#callbacks.reportError(error, 'clock');
    }
    return read + this.#setBackMs;
  }

  #done(decision: CanaryDecision, message: string): CanaryResult {
    return this.#result({ success: true, decision, message, error: null });
  }

  #refused(error: Refusal): CanaryResult {
    return this.#result({ success: false, decision: null, message: error.message, error });
  }

  #invalid(path: readonly string[], message: string): CanaryResult {
    return this.#refused(refusal('INVALID_INPUT', `${path.join('.')} ${message}`, path));
  }

  #result(result: Pick<CanaryResult, 'success' | 'decision' | 'message' | 'error'>): CanaryResult {
    return { ...result, comparison: this.comparePerformance(), deployment: this.getStatus() };
  }
}
