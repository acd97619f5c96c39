/**
 * What a configuration says about capital on its way: when an allocation counts as carried out, what happens to open
 * positions, and how long the canary may hold capital without a request of its bot that is answered.
 */
import { type Decimal, decimal, type NumberInput } from '../values/decimal.ts';
import type { Reader } from '../values/inputReader.ts';

/** What a side that is to hold less does with its open positions. */
export const POSITION_PLANS = ['HAND_OVER', 'REDUCE_ONLY', 'CLOSE'] as const;
export type PositionPlan = (typeof POSITION_PLANS)[number];

/** When an allocation counts as carried out, and for how long that may take. */
export interface SettlementConfig {
  /** A side holds what it was asked to within this many percent of it. */
  readonly tolerancePercent: Decimal;
  /** An allocation that is not settled after this time is overdue. */
  readonly deadlineSeconds: number;
  /** The next step, and the next canary of the strategy on its chain, begin only when the last allocation is settled. */
  readonly required: boolean;
}

/** What bots do with open positions when their side is to hold less. Serin hands it on with the allocation. */
export interface RollbackPlan {
  readonly positions: PositionPlan;
  /** The largest slippage to accept, in basis points; null: the bot's own. */
  readonly maxSlippageBps: Decimal | null;
  /** The deadline of the allocations that carry the plan; null: that of the settlement. */
  readonly deadlineSeconds: number | null;
}

/** As a caller gives it: what is left out (or null) takes its default. */
export interface SettlementInput {
  readonly tolerancePercent?: NumberInput | null | undefined;
  readonly deadlineSeconds?: number | null | undefined;
  readonly required?: boolean | null | undefined;
}

export interface RollbackPlanInput {
  readonly positions: PositionPlan;
  readonly maxSlippageBps?: NumberInput | null | undefined;
  readonly deadlineSeconds?: number | null | undefined;
}

/** The settlement of a configuration that does not name one. */
export const DEFAULT_SETTLEMENT: SettlementConfig = {
  tolerancePercent: decimal('0.5'),
  deadlineSeconds: 300,
  required: false,
};

/** The longest deadline and the longest lease: a week. */
const MAX_DEADLINE_SECONDS = 7 * 86_400;
/** A bot sends at least three requests in a lease. */
const MIN_LEASE_SECONDS = 10;

type At = (...names: string[]) => string[];

export function readSettlement(
  read: Reader,
  input: SettlementInput | null | undefined,
  at: At,
): SettlementConfig | null {
  if (input === null || input === undefined) return null;
  const d = DEFAULT_SETTLEMENT;
  const here = (...names: string[]) => at('settlement', ...names);
  const given = read.fields(here(), input, Object.keys(d));
  return {
    tolerancePercent: read.decimal(
      here('tolerancePercent'),
      given.tolerancePercent ?? d.tolerancePercent,
      '0',
      '100',
    ),
    deadlineSeconds: read.integer(
      here('deadlineSeconds'),
      given.deadlineSeconds ?? d.deadlineSeconds,
      1,
      MAX_DEADLINE_SECONDS,
    ),
    required: read.flag(here('required'), given.required ?? d.required),
  };
}

export function readRollbackPlan(
  read: Reader,
  input: RollbackPlanInput | null | undefined,
  at: At,
): RollbackPlan | null {
  if (input === null || input === undefined) return null;
  const here = (...names: string[]) => at('rollbackPlan', ...names);
  const given = read.fields(here(), input, ['positions', 'maxSlippageBps', 'deadlineSeconds']);
  const { maxSlippageBps = null, deadlineSeconds = null } = given;
  return {
    positions: read.choice(here('positions'), given.positions, POSITION_PLANS),
    maxSlippageBps:
      maxSlippageBps === null ? null : read.decimal(here('maxSlippageBps'), maxSlippageBps, '0', '10000'),
    deadlineSeconds:
      deadlineSeconds === null
        ? null
        : read.integer(here('deadlineSeconds'), deadlineSeconds, 1, MAX_DEADLINE_SECONDS),
  };
}

/** The lease in seconds; null if there is none. */
export function readLease(read: Reader, given: number | null | undefined, at: At): number | null {
  if (given === null || given === undefined) return null;
  return read.integer(at('capitalLeaseSeconds'), given, MIN_LEASE_SECONDS, MAX_DEADLINE_SECONDS);
}
