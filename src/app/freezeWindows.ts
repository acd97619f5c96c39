/**
 * When a freeze blocks. A recurring one begins by a cron rule in a time zone and lasts for a fixed time: "every first
 * Friday at 8:30 in New York, for an hour" stays at 8:30 there when the clocks change.
 */
import { Cron } from 'croner';
import { LRUCache } from 'lru-cache';
import {
  type ActiveFreeze,
  FREEZE_BLOCKS,
  type FreezeBlock,
  type FreezeFacts,
} from '../core/lifecycle/freeze.ts';
import { requestEndsAt } from '../core/lifecycle/secondPerson.ts';
import { type DeploymentState, isWatched } from '../core/lifecycle/state.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { isTimeZone } from '../core/values/timeZone.ts';
import { covers } from '../store/access/strategyScope.ts';
import type { Freeze, Recurrence } from '../store/safety/freezes.ts';

/** A time in which a freeze blocks, epoch milliseconds; without an end it lasts until it is lifted. */
export interface Window {
  readonly from: number;
  readonly until: number | null;
}

type Timed = Pick<Freeze, 'from' | 'until' | 'recurrence' | 'liftedAt'>;

/** Five fields; croner would also take seconds, years, dates and nicknames. */
const FIVE_FIELDS = /^[\dA-Za-z,*/#LW-]+( [\dA-Za-z,*/#LW-]+){4}$/;
const CACHED_RULES = 1000;
/** Windows that touch are shown as one; of more than this the end is the earliest that is certain. */
const MAX_MERGED = 10;

/** Starts of a rule are found and kept for so long a time together: each takes about 0.1 ms. */
const KEPT_TOGETHER_MS = 10 * 60_000;
/** For 125 days of a rule of every minute, 3 MB. */
const CACHED_STARTS = 200_000;

const rules = new LRUCache<string, Cron>({ max: CACHED_RULES });
/** By rule and time, in their order. */
const starts = new LRUCache<string, readonly number[]>({
  maxSize: CACHED_STARTS,
  sizeCalculation: ({ length }) => length + 1,
});

/** The times of a rule. A time that the change to summer time skips comes right after the gap; one it repeats comes once. */
function cronOf({ rule, timeZone }: Pick<Recurrence, 'rule' | 'timeZone'>): Cron {
  const key = `${timeZone} ${rule}`;
  const known = rules.get(key);
  if (known) return known;
  const cron = new Cron(rule, { timezone: timeZone, mode: '5-part', fixedTimeRule: 'no-wildcard' });
  rules.set(key, cron);
  return cron;
}

/** When a rule begins next after an instant, epoch milliseconds; null if never again. */
function startAfter(recurrence: Recurrence, instant: number): number | null {
  const from = Math.floor(instant / KEPT_TOGETHER_MS) * KEPT_TOGETHER_MS;
  return startsFrom(recurrence, from).find((start) => start > instant) ?? null;
}

/** The starts of a rule in the time that is kept together, and the first one after it. */
function startsFrom(recurrence: Recurrence, from: number): readonly number[] {
  const key = `${from} ${recurrence.timeZone} ${recurrence.rule}`;
  const known = starts.get(key);
  if (known) return known;
  const cron = cronOf(recurrence);
  const found: number[] = [];
  let start = cron.nextRun(new Date(from - 1));
  while (start) {
    found.push(start.getTime());
    if (start.getTime() >= from + KEPT_TOGETHER_MS) break;
    start = cron.nextRun(start);
  }
  starts.set(key, found);
  return found;
}

/** Why a recurrence cannot be used, with the field's name; null if it can. */
export function recurrenceViolation({
  rule,
  timeZone,
  durationMinutes,
}: Recurrence): { readonly field: keyof Recurrence; readonly message: string } | null {
  if (!Number.isInteger(durationMinutes) || durationMinutes < 1 || durationMinutes > MAX_DURATION_MINUTES) {
    const message = `must be between 1 and ${MAX_DURATION_MINUTES}, got ${durationMinutes}`;
    return { field: 'durationMinutes', message };
  }
  if (!isTimeZone(timeZone)) {
    return { field: 'timeZone', message: `must be an IANA name such as America/New_York, got ${timeZone}` };
  }
  const message =
    'must have five fields (minute, hour, day of the month, month, day of the week), such as "30 8 * * FRI#1"';
  if (!FIVE_FIELDS.test(rule)) return { field: 'rule', message };
  try {
    return cronOf({ rule, timeZone }).nextRun(new Date(0)) === null
      ? { field: 'rule', message: `never occurs: ${rule}` }
      : null;
  } catch {
    return { field: 'rule', message };
  }
}

const MAX_DURATION_MINUTES = 7 * 24 * 60;

/** The first window that ends after an instant; null if there is none. It may have begun before. */
export function windowAfter(freeze: Timed, instant: number): Window | null {
  const { recurrence, from } = freeze;
  const end = earliest(freeze.until, freeze.liftedAt);
  if (end !== null && end <= Math.max(instant, from)) return null;
  if (!recurrence) return { from, until: end };
  const lasts = recurrence.durationMinutes * 60_000;
  const start = startAfter(recurrence, Math.max(instant, from) - lasts);
  if (start === null || (end !== null && start >= end)) return null;
  let until = start + lasts;
  for (let merged = 1, next = startAfter(recurrence, start); merged < MAX_MERGED; merged += 1) {
    if (next === null || next > until) break;
    until = next + lasts;
    next = startAfter(recurrence, next);
  }
  return { from: Math.max(start, from), until: earliest(until, end) };
}

const earliest = (a: number | null, b: number | null) =>
  a === null || b === null ? (a ?? b) : Math.min(a, b);

/** The window that an instant lies in; null if the freeze does not block then. */
export function activeWindow(freeze: Timed, now: SerinInstant): Window | null {
  const window = windowAfter(freeze, now);
  return window && window.from <= now ? window : null;
}

/** When a freeze begins to block next, after now; null if never again. */
export function nextStart(freeze: Timed, now: SerinInstant): number | null {
  const window = windowAfter(freeze, now);
  if (!window || window.from > now) return window?.from ?? null;
  return window.until === null ? null : (windowAfter(freeze, window.until)?.from ?? null);
}

/** Whether a freeze is about the deployments of a strategy on a chain. */
export function concerns(
  { strategies, chains }: Pick<Freeze, 'strategies' | 'chains'>,
  { strategyId, chain }: Pick<DeploymentState, 'strategyId' | 'chain'>,
): boolean {
  return covers(strategies, strategyId) && covers(chains, chain);
}

/**
 * What freezes mean for a deployment now.
 * @param past the freezes since its request for promotion, where it has one that would have expired without them
 */
export function freezeFacts(
  freezes: readonly Freeze[],
  deployment: DeploymentState,
  now: SerinInstant,
  past: readonly Freeze[] = [],
): FreezeFacts {
  const blocking: Partial<Record<FreezeBlock, ActiveFreeze>> = {};
  for (const freeze of freezes) {
    const window = concerns(freeze, deployment) ? activeWindow(freeze, now) : null;
    if (!window) continue;
    const active: ActiveFreeze = { id: freeze.id, until: window.until, reason: freeze.reason };
    for (const block of FREEZE_BLOCKS) {
      if (freeze.blocks.includes(block) && endsLater(active, blocking[block])) blocking[block] = active;
    }
  }
  const request = isWatched(deployment) ? deployment.observation.promotionRequest : null;
  return { blocking, requestFrozenMs: request ? promotionFrozenMs(past, deployment, request.at, now) : 0 };
}

/** How long promotions of a deployment were blocked between two instants, milliseconds. */
export function promotionFrozenMs(
  freezes: readonly Freeze[],
  deployment: Pick<DeploymentState, 'strategyId' | 'chain'>,
  from: number,
  to: number,
): number {
  const blocking = freezes.filter((each) => each.blocks.includes('PROMOTE') && concerns(each, deployment));
  return frozenMs(blocking, from, to);
}

/** Of equals the first one stays, so that a hold keeps the freeze that it waits for. */
function endsLater({ until }: ActiveFreeze, than: ActiveFreeze | undefined): boolean {
  if (!than) return true;
  if (than.until === null) return false;
  return until === null || until > than.until;
}

/** When promotion was requested, if the request's day is over: only freezes since then can have kept it open. */
export function expiredRequestAt(state: DeploymentState, now: SerinInstant): number | null {
  const request = isWatched(state) ? state.observation.promotionRequest : null;
  return request && now >= requestEndsAt(request) ? request.at : null;
}

/**
 * How long at least one of the freezes blocked between two instants, milliseconds. The times of a rule are computed once,
 * however many freezes share it, and only where no other freeze blocked anyway: the longest windows come first.
 */
export function frozenMs(freezes: readonly Timed[], from: number, to: number): number {
  let free: readonly Span[] = from < to ? [{ from, to }] : [];
  for (const freeze of withoutRepetition(freezes, to)) {
    if (free.length === 0) break;
    free = without(free, freeze);
  }
  return Math.max(0, to - from) - free.reduce((sum, span) => sum + span.to - span.from, 0);
}

/** A time, epoch milliseconds; `to` is not part of it. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** The freezes until an instant, those of one rule and overlapping times as one; the longest windows come first. */
function withoutRepetition(freezes: readonly Timed[], to: number): Timed[] {
  const times = new Map<string, { recurrence: Recurrence | null; spans: Span[] }>();
  for (const { recurrence, from, until, liftedAt } of freezes) {
    const key = recurrence ? ruleKey(recurrence) : '';
    const same = times.get(key) ?? { recurrence, spans: [] };
    times.set(key, same);
    same.spans.push({ from, to: earliest(earliest(until, liftedAt), to) ?? to });
  }
  const lasts = (recurrence: Recurrence | null) => recurrence?.durationMinutes ?? Number.POSITIVE_INFINITY;
  return [...times.values()]
    .toSorted((a, b) => lasts(b.recurrence) - lasts(a.recurrence))
    .flatMap(({ recurrence, spans }) =>
      joined(spans).map((span) => ({ recurrence, from: span.from, until: span.to, liftedAt: null })),
    );
}

const ruleKey = ({ rule, timeZone, durationMinutes }: Recurrence) => `${timeZone} ${rule} ${durationMinutes}`;

/** Spans in their order, those that overlap or touch as one. */
function joined(spans: readonly Span[]): Span[] {
  const found: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    if (span.to <= span.from) continue;
    const last = found.at(-1);
    if (last && span.from <= last.to)
      found[found.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else found.push(span);
  }
  return found;
}

/** What a freeze leaves of spans, which are in their order. */
function without(spans: readonly Span[], freeze: Timed): Span[] {
  const left: Span[] = [];
  let window = windowAfter(freeze, spans[0]?.from ?? 0);
  for (const { from, to } of spans) {
    let at = from;
    while (window && at < to) {
      if (window.until !== null && window.until <= at) {
        window = windowAfter(freeze, at);
        continue;
      }
      if (window.from >= to) break;
      if (window.from > at) left.push({ from: at, to: window.from });
      at = window.until ?? to;
    }
    if (at < to) left.push({ from: at, to });
  }
  return left;
}
