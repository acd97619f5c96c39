/** How near a canary is to its limits, and what money is with it. */
import { openMsBetween } from '../../../src/core/config/tradingCalendar';
import type { CardFragment } from '../api/generated/graphql';
import { count } from '../format';

export interface GuardrailDistance {
  readonly name: 'maxLossUsd' | 'maxLossPercent' | 'maxDrawdown' | 'maxErrorRate' | 'maxStaleSeconds';
  readonly measured: number | null;
  readonly limit: number;
  /** How much of the limit is used: 1 and more is over it. */
  readonly used: number;
}

type Watched = Pick<CardFragment, 'canaryMetrics' | 'stableMetrics' | 'startedAt' | 'status'> & {
  readonly config: Pick<CardFragment['config'], 'guardrails' | 'tradingHours'>;
};

/** Every limit that is set, with what was measured. `now` is Serin's time. */
export function guardrailDistances(
  { config, canaryMetrics, stableMetrics, startedAt, status }: Watched,
  now: number,
): GuardrailDistance[] {
  const { guardrails } = config;
  const loss = Math.max(0, -Number(canaryMetrics?.metrics.netPnlUsd ?? 0));
  const lossPercent = Math.max(0, -(returnOf(canaryMetrics) ?? 0)) * 100;
  const silence =
    startedAt === null || status !== 'RUNNING'
      ? null
      : Math.max(
          ...[canaryMetrics, stableMetrics].map((side) =>
            silenceSeconds(config, side?.reportedAt ?? startedAt, now),
          ),
        );
  const measured: Record<GuardrailDistance['name'], number | null> = {
    maxLossUsd: canaryMetrics && loss,
    maxLossPercent: canaryMetrics && lossPercent,
    maxDrawdown: canaryMetrics && Number(canaryMetrics.metrics.maxDrawdown),
    maxErrorRate: canaryMetrics?.errorRate == null ? null : Number(canaryMetrics.errorRate),
    maxStaleSeconds: silence,
  };
  const names = ['maxLossUsd', 'maxLossPercent', 'maxDrawdown', 'maxErrorRate', 'maxStaleSeconds'] as const;
  return names.flatMap((name) => {
    const set = guardrails[name];
    if (set === null) return [];
    const limit = Number(set);
    const value = measured[name];
    const used = value === null ? 0 : limit > 0 ? value / limit : value > 0 ? 1 : 0;
    return [{ name, measured: value, limit, used }];
  });
}

/** Time in which the market is closed is no silence. */
export function silenceSeconds(
  config: Pick<CardFragment['config'], 'tradingHours'>,
  reportedAt: string,
  now: number,
): number {
  const from = Date.parse(reportedAt);
  let silentMs = now - from;
  try {
    silentMs = openMsBetween(config, from, now);
  } catch {
    // No session is to come, or the browser does not know the zone.
  }
  return Math.max(0, silentMs / 1000);
}

/** What the canary holds, or was asked to hold where it never answers, USD. */
export function canaryHeldUsd({
  allocation,
  canaryCapitalUsd,
}: Pick<CardFragment, 'allocation' | 'canaryCapitalUsd'>): number {
  const side = allocation?.sides.find((each) => each.side === 'CANARY');
  return Number(side?.heldUsd ?? canaryCapitalUsd);
}

/** Return of a side on the capital that it held while it earned; null before it has reported. */
export function returnOf(
  side: { readonly reportedAt: string | null; readonly returnOnCapital: string } | null,
): number | null {
  return side === null || side.reportedAt === null ? null : Number(side.returnOnCapital);
}

/** Whether nothing goes on until a person acts. */
export function waitsForPerson({
  status,
  promotionRequest,
  configRequest,
}: Pick<CardFragment, 'status' | 'promotionRequest' | 'configRequest'>): boolean {
  return status === 'OBSERVATION_COMPLETE' || promotionRequest !== null || configRequest !== null;
}

/** Seconds that the latest request for capital has gone without an answer, the longer of both sides. */
export function unansweredSeconds({ allocation }: Pick<CardFragment, 'allocation'>): number {
  return Math.max(0, ...(allocation?.sides.map((side) => side.unansweredSeconds) ?? []));
}

/** How far the test is from deciding, in a few words; null where that cannot be said. */
export function outlookInShort({
  status,
  comparison,
}: Pick<CardFragment, 'status' | 'comparison'>): string | null {
  const outlook = comparison?.evidence.outlook;
  if (status !== 'RUNNING' || !outlook) return null;
  const { checksToDecide, decidesBeforeDeadline } = outlook;
  if (checksToDecide === null || checksToDecide === undefined) return null;
  if (checksToDecide === 0) return 'test decided';
  if (!decidesBeforeDeadline) return 'open at the deadline';
  return `${count(checksToDecide)} more ${checksToDecide === 1 ? 'check' : 'checks'}`;
}
