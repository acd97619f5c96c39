/**
 * Closed trades as their owner tells them, one side of one deployment: what a trade must be, and when two of the same
 * id are the same trade. What they add up to is in `tradeBook.ts`.
 */
import { z } from 'zod';
import { decimalCodec, instantCodec } from '../values/codecs.ts';
import { type Decimal, formatDecimal, ZERO } from '../values/decimal.ts';
import type { Violation } from '../values/violation.ts';

/** A closed trade, or an attempt that failed: then `error` says why, and there is neither PnL nor size. */
export interface Trade {
  /** The owner's name for it, unique within the side. */
  readonly id: string;
  /** When it was closed, epoch milliseconds. */
  readonly at: number;
  /** Profit and loss before costs, USD; null for an error. */
  readonly pnlUsd: Decimal | null;
  /** Fees paid, USD; negative for a rebate. */
  readonly feesUsd: Decimal;
  readonly gasUsd: Decimal;
  /** Its size, USD; null where the owner does not say. */
  readonly notionalUsd: Decimal | null;
  readonly error: string | null;
  /** The owner's name of the signal that it acted on: trades of both sides that bear it are compared. */
  readonly signalId?: string | undefined;
}

/** A trade on the books, with the capital that its side worked with at the time. */
export interface RecordedTrade extends Trade {
  readonly capitalUsd: Decimal;
  /** When Serin took it, epoch milliseconds. */
  readonly recordedAt: number;
}

export const recordedTradeCodec = z.strictObject({
  id: z.string(),
  at: instantCodec,
  pnlUsd: decimalCodec.nullable(),
  feesUsd: decimalCodec,
  gasUsd: decimalCodec,
  notionalUsd: decimalCodec.nullable(),
  error: z.string().nullable(),
  signalId: z.string().optional(),
  capitalUsd: decimalCodec,
  recordedAt: instantCodec,
}) satisfies z.ZodType<RecordedTrade>;

/** How far the clock of a trade's owner may differ from Serin's, ahead or behind, milliseconds. */
export const CLOCK_TOLERANCE_MS = 60_000;

const MAX_ID = 200;
const MAX_ERROR = 2000;
/** Characters that a name may not have: control and format characters, and halves of a pair. */
const UNPRINTABLE = /\p{C}/u;
/** What no text may have: PostgreSQL stores neither. */
const UNSTORABLE = /[\p{Cs}\0]/u;

/** Net PnL: what is left after fees and gas. An error costs what was paid for it. */
export function netPnlUsd({ pnlUsd, feesUsd, gasUsd }: Trade): Decimal {
  return (pnlUsd ?? ZERO).minus(feesUsd).minus(gasUsd);
}

/**
 * Checks a trade against its bounds; an empty list means it may be booked.
 * @param window from the start of the deployment to now, epoch milliseconds
 */
export function tradeViolations(
  trade: Trade,
  window: { readonly from: number; readonly to: number },
  path: readonly string[],
): Violation[] {
  const violations: Violation[] = [];
  const refuse = (field: keyof Trade, message: string) =>
    violations.push({ path: [...path, field], message });
  const { id, at, pnlUsd, notionalUsd, error } = trade;

  const checkName = (field: 'id' | 'signalId', name: string) => {
    if (name.length < 1 || name.length > MAX_ID) {
      refuse(field, `must have between 1 and ${MAX_ID} characters, got ${name.length}`);
    } else if (UNPRINTABLE.test(name)) refuse(field, 'must have printable characters only');
  };
  checkName('id', id);
  if (trade.signalId !== undefined) checkName('signalId', trade.signalId);
  const shown = (instant: number) => new Date(instant).toISOString();
  if (at < window.from - CLOCK_TOLERANCE_MS) {
    const started = shown(window.from);
    refuse(
      'at',
      `must not be more than a minute before the deployment started (${started}), got ${shown(at)}`,
    );
  } else if (at > window.to + CLOCK_TOLERANCE_MS) {
    refuse('at', `must not lie in the future (it is ${shown(window.to)}), got ${shown(at)}`);
  }
  if (error === null) {
    if (pnlUsd === null) refuse('pnlUsd', 'must be given, or error where there was no trade');
  } else {
    if (pnlUsd !== null) refuse('pnlUsd', 'must be left out where error is given: an error is no trade');
    if (notionalUsd !== null) refuse('notionalUsd', 'must be left out where error is given');
    if (error.length < 1 || error.length > MAX_ERROR) {
      refuse('error', `must have between 1 and ${MAX_ERROR} characters, got ${error.length}`);
    } else if (UNSTORABLE.test(error)) refuse('error', 'has characters that cannot be stored');
  }
  for (const field of ['gasUsd', 'notionalUsd'] as const) {
    const value = trade[field];
    if (value?.lt(0)) refuse(field, `must not be negative, got ${formatDecimal(value)}`);
  }
  return violations;
}

const CONTENT = [
  'at',
  'pnlUsd',
  'feesUsd',
  'gasUsd',
  'notionalUsd',
  'error',
  'signalId',
] as const satisfies readonly (keyof Trade)[];

/** The first field in which two trades of one id differ, and what it says; null when they are the same trade. */
export function firstDifference(
  booked: Trade,
  sent: Trade,
): { readonly field: keyof Trade; readonly booked: string; readonly sent: string } | null {
  for (const field of CONTENT) {
    const [before, now] = [contentOf(booked, field), contentOf(sent, field)];
    if (before !== now) return { field, booked: before, sent: now };
  }
  return null;
}

function contentOf(trade: Trade, field: (typeof CONTENT)[number]): string {
  const value = trade[field];
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'number') return new Date(value).toISOString();
  return typeof value === 'string' ? JSON.stringify(value) : formatDecimal(value);
}
