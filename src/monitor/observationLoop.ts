/**
 * The observation loop. Deployments whose bots report are checked in batches, as soon as they are due. Of those with a
 * provider it claims the due ones, fetches their metrics outside any transaction, and applies the check. Any number of
 * nodes run it over one database; another node may take a claim whose lease has expired.
 */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { createChecks } from '../app/checks.ts';
import type { App } from '../app/context.ts';
import { describeEvent } from '../core/lifecycle/describe.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { observationOf } from '../core/lifecycle/state.ts';
import type { FetchResult } from '../core/metrics/fetched.ts';
import type { BySide } from '../core/values/side.ts';
import type { MetricsProvider } from '../providers/providers.ts';
import { findDeployment } from '../store/deployments/deployments.ts';
import {
  type Claim,
  claimDue,
  type DueKind,
  type ProviderSlots,
  returnClaim,
  untilNextDue,
} from '../store/deployments/leases.ts';
import { allDone } from '../store/postgres/allDone.ts';
import { type ClockConversion, readClockConversion } from '../store/postgres/database.ts';
import { type Job, pause } from './repeat.ts';
import { sleepUntilDue } from './untilDue.ts';

/** Maximum checks of claimed deployments at a time. */
const CONCURRENCY = 128;
/** Maximum deployments that are claimed in one statement, or checked in one transaction. */
const BATCH = 64;
/** One batch is decided while the other is written. */
const CONCURRENT_BATCHES = 2;
/** Maximum concurrent checks per provider: a slow provider delays its own deployments only. */
const PER_PROVIDER = 16;
/** Lease of a claim, real seconds. After it another node may take the claim over. */
const LEASE_SECONDS = 30;
/** The part of a lease that is for the check itself, real seconds; the rest is for the provider. */
const CHECK_SECONDS = 15;
/** Upper bound of the sleep, in Serin's milliseconds, so that work scheduled by other nodes is noticed in time. */
const MAX_SLEEP = 5000;
/** The same in real milliseconds, for a clock that runs at the normal rate. */
const MAX_REAL_SLEEP_MS = 500;

export interface LoopParts {
  readonly app: App;
  readonly providers: ReadonlyMap<string, MetricsProvider>;
  readonly log: Logger;
  /** Seconds of Serin's clock per real second. */
  readonly timeScale: number;
  readonly watchers?: LoopWatchers;
}

/** Callbacks for metrics and traces. */
export interface LoopWatchers {
  /** A check was applied with these events, or could not be made (null). */
  onCheck(deploymentId: string, events: readonly CanaryEvent[] | null, ms: number): void;
  /** A provider was queried for one side. */
  onFetch(provider: string, ok: boolean): void;
}

const NOBODY: LoopWatchers = { onCheck: () => {}, onFetch: () => {} };

/** Characters of what a provider said that the log keeps. */
const MAX_SAID = 600;

/** Its stop lets the checks in flight finish. */
export function startLoop({ app, providers, log, timeScale, watchers = NOBODY }: LoopParts): Job {
  const stopping = new AbortController();
  // Every fetch in flight listens to it.
  setMaxListeners(0, stopping.signal);
  const maxSleepMs = Math.min(MAX_SLEEP / timeScale, MAX_REAL_SLEEP_MS);
  const checks = createChecks(app);
  const inFlight = new Map<Claim, Promise<void>>();
  const providerLeases = new Map([...providers].map(([name, provider]) => [name, leaseSecondsOf(provider)]));
  const running = Promise.all([keepDoing('REPORTED', checkReported), keepDoing('PROVIDED', claimProvided)]);

  /** Does the work that is due, and waits for the next. A poll that finds nothing due is one statement. */
  async function keepDoing(kind: DueKind, work: () => Promise<void>): Promise<void> {
    const untilDue = () => untilNextDue(app.db, kind, providerSlots());
    while (!stopping.signal.aborted) {
      try {
        let due = await untilDue();
        if (due !== null && due <= 0) {
          await work();
          due = await untilDue();
        }
        await pause(sleepUntilDue(due, maxSleepMs), stopping.signal);
      } catch (error) {
        log.warn({ error }, 'the observation loop cannot reach the database and retries');
        await pause(1000, stopping.signal);
      }
    }
  }

  /** Works off what is due of the deployments whose bots report. More than one batch is worked off two at a time. */
  async function checkReported(): Promise<void> {
    const workOff = async () => {
      while (!stopping.signal.aborted && (await checkBatch()));
    };
    if (await checkBatch()) await allDone(Array.from({ length: CONCURRENT_BATCHES }, workOff));
  }

  /** Checks a batch of them. Returns whether more may be due. */
  async function checkBatch(): Promise<boolean> {
    const begun = performance.now();
    const { results, found, left } = await checks.applyDue(BATCH);
    for (const [deploymentId, events] of results) announce(deploymentId, events, performance.now() - begun);
    if (left) await claim('REPORTED');
    return found === BATCH;
  }

  /** Claims what is due of the deployments with a provider, as far as their providers have slots. */
  async function claimProvided(): Promise<void> {
    while (!stopping.signal.aborted && (await claim('PROVIDED')));
  }

  /** Claims a batch and begins its checks. Returns whether more may be due. */
  async function claim(kind: DueKind): Promise<boolean> {
    while (inFlight.size >= CONCURRENCY) await Promise.race(inFlight.values());
    const limit = Math.min(BATCH, CONCURRENCY - inFlight.size);
    const slots = providerSlots();
    const claims = await claimDue(app.db, {
      kind,
      limit,
      leaseSeconds: LEASE_SECONDS,
      providerLeases,
      slots,
    });
    for (const claim of claims) begin(claim);
    return claims.length === limit;
  }

  function providerSlots(): ProviderSlots {
    const left = new Map<string, number>();
    for (const { provider } of inFlight.keys()) {
      if (provider !== null) left.set(provider, (left.get(provider) ?? PER_PROVIDER) - 1);
    }
    return { each: PER_PROVIDER, left };
  }

  function begin(claim: Claim): void {
    inFlight.set(
      claim,
      checkSafely(claim).finally(() => inFlight.delete(claim)),
    );
  }

  /** Logs a check that was applied, and counts it. */
  function announce(deploymentId: string, events: readonly CanaryEvent[], ms: number): void {
    const resumed = events.find((event) => event.type === 'WATCH_RESUMED');
    if (resumed) log.warn({ deploymentId }, describeEvent(resumed));
    watchers.onCheck(deploymentId, events, ms);
  }

  /** An error affects its own deployment only: the claim expires and the check is retried. */
  async function checkSafely(claim: Claim): Promise<void> {
    const begun = performance.now();
    try {
      const fetched = claim.provider === null ? null : await fetchMetrics(claim, claim.provider);
      if (stopping.signal.aborted && fetched) return await returnClaim(app.db, claim);
      const events = await checks.apply(claim, fetched);
      if (events) announce(claim.deploymentId, events, performance.now() - begun);
    } catch (error) {
      watchers.onCheck(claim.deploymentId, null, performance.now() - begun);
      log.error({ error, deploymentId: claim.deploymentId }, 'a check failed');
    }
  }

  async function fetchMetrics({ deploymentId }: Claim, name: string): Promise<BySide<FetchResult> | null> {
    const view = await findDeployment(app.db, deploymentId);
    if (!view) return null;
    const provider = providers.get(name);
    if (!provider) {
      const message = `the provider ${name} is not configured on this server`;
      return { CANARY: { ok: false, message }, STABLE: { ok: false, message } };
    }
    const { strategyId, chain, canaryVersionId, stableVersionId } = view.state;
    // A provider knows real time only.
    const clock = await readClockConversion(app.db);
    const since = clock.toWall(observationOf(view.state)?.startedAt ?? view.state.createdAt);
    const ask = (side: 'CANARY' | 'STABLE', versionId: string) =>
      provider.fetch({ strategyId, chain, versionId, side, since }, stopping.signal);
    const [canary, stable] = await Promise.all([
      ask('CANARY', canaryVersionId),
      ask('STABLE', stableVersionId),
    ]);
    for (const fetched of [canary, stable]) {
      watchers.onFetch(name, fetched.ok);
      if (fetched.ok || fetched.words === undefined) continue;
      log.warn({ deploymentId, provider: name, said: fetched.words.slice(0, MAX_SAID) }, fetched.message);
    }
    return { CANARY: onSerinsClock(canary, clock), STABLE: onSerinsClock(stable, clock) };
  }

  return {
    async stop() {
      stopping.abort();
      await running;
      await Promise.all(inFlight.values());
    },
  };
}

/** A lease that is long enough for every attempt of a provider, and for the check after it; real seconds. */
function leaseSecondsOf({ longestMs }: MetricsProvider): number {
  return Math.max(LEASE_SECONDS, longestMs / 1000 + CHECK_SECONDS);
}

/** Puts the time of figures, which is real as the provider sends it, on Serin's clock. */
function onSerinsClock(fetched: FetchResult, clock: ClockConversion): FetchResult {
  if (!fetched.ok || fetched.report.asOf === undefined) return fetched;
  const asSent: number = fetched.report.asOf;
  return { ...fetched, report: { ...fetched.report, asOf: clock.toSerin(asSent) } };
}
