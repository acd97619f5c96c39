/** How near a canary is to its limits, and what money is with it. */
import type { CardFragment } from '../api/generated/graphql';

export interface GuardrailDistance {
  readonly name: 'maxLossUsd' | 'maxLossPercent' | 'maxDrawdown' | 'maxErrorRate' | 'maxStaleSeconds';
  readonly measured: number | null;
  readonly limit: number;
  /** How much of the limit is used: 1 and more is over it. */
  readonly used: number;
}

type Watched = Pick<CardFragment, 'canaryMetrics' | 'stableMetrics' | 'startedAt' | 'status'> & {
  readonly config: Pick<CardFragment['config'], 'guardrails'>;
};

/** Every limit that is set, with what was measured. `now` is Serin's time. */
export function guardrailDistances(
  { config: { guardrails }, canaryMetrics, stableMetrics, startedAt, status }: Watched,
  now: number,
): GuardrailDistance[] {
  const pnl = Number(canaryMetrics?.metrics.netPnlUsd ?? 0);
  const capital = Number(canaryMetrics?.capitalAllocatedUsd ?? 0);
  const loss = Math.max(0, -pnl);
  const silence =
    startedAt === null || status !== 'RUNNING'
      ? null
      : Math.max(
          ...[canaryMetrics, stableMetrics].map((side) => silenceSeconds(side?.reportedAt ?? startedAt, now)),
        );
  const measured: Record<GuardrailDistance['name'], number | null> = {
    maxLossUsd: canaryMetrics && loss,
    maxLossPercent: canaryMetrics && (capital > 0 ? (loss / capital) * 100 : 0),
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

export function silenceSeconds(reportedAt: string, now: number): number {
  return Math.max(0, (now - Date.parse(reportedAt)) / 1000);
}

/** What the canary holds, or was asked to hold where it never answers, USD. */
export function canaryHeldUsd({
  allocation,
  canaryCapitalUsd,
}: Pick<CardFragment, 'allocation' | 'canaryCapitalUsd'>): number {
  const side = allocation?.sides.find((each) => each.side === 'CANARY');
  return Number(side?.heldUsd ?? canaryCapitalUsd);
}

/** Return of a side on its capital; null before it has reported. */
export function returnOf(
  side: {
    readonly capitalAllocatedUsd: string;
    readonly reportedAt: string | null;
    readonly metrics: { readonly netPnlUsd: string };
  } | null,
): number | null {
  if (!side || side.reportedAt === null) return null;
  const capital = Number(side.capitalAllocatedUsd);
  return capital > 0 ? Number(side.metrics.netPnlUsd) / capital : null;
}

/** Whether nothing goes on until a person acts. */
export function waitsForPerson({
  status,
  promotionRequest,
}: Pick<CardFragment, 'status' | 'promotionRequest'>): boolean {
  return status === 'OBSERVATION_COMPLETE' || promotionRequest !== null;
}

/** Seconds that the latest request for capital has gone without an answer, the longer of both sides. */
export function unansweredSeconds({ allocation }: Pick<CardFragment, 'allocation'>): number {
  return Math.max(0, ...(allocation?.sides.map((side) => side.unansweredSeconds) ?? []));
}
