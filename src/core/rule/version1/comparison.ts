/**
 * The comparison as it was under the first version of the rule. Nothing is decided on it any more: it makes the
 * decisions of old records again, and evaluates old deployments. It does not change.
 */

import { type CanaryConfig, plannedChecks } from '../../config/config.ts';
import {
  errorRate,
  type MetricsBySide,
  nonFiniteFigures,
  type SideMetrics,
} from '../../metrics/sideMetrics.ts';
import { Decimal, decimal, toStoredPrecision, ZERO } from '../../values/decimal.ts';
import { percent } from '../../values/format.ts';
import type { BySide } from '../../values/side.ts';
import {
  type CanaryDecision,
  GATES,
  type GateFinding,
  type GateName,
  type GateResult,
  mustKeepUp,
  named,
  passed,
  passOrFail,
  quotient,
  type Ratios,
  shortfallLimit,
  toStored,
} from '../gate.ts';
import { describeEvidence, type Evidence, type EvidenceSums, judge } from './evidence.ts';

export interface ComparisonInput {
  readonly metrics: MetricsBySide;
  readonly returns: BySide<Decimal>;
  readonly evidence: EvidenceSums;
  readonly config: CanaryConfig;
}

export interface Comparison extends Ratios {
  readonly decision: CanaryDecision;
  readonly decisionReasons: readonly string[];
  readonly gates: readonly GateResult[];
  readonly evidence: Evidence;
}

/** Dollars as reasons showed them then. */
function dollars(value: Decimal): string {
  return `${value.isNegative() ? '-' : '+'}$${value.abs().toFixed(2)}`;
}

/** Both sides as the gates see them. */
interface GateInput {
  readonly canary: SideMetrics;
  readonly stable: SideMetrics;
  /** On the chosen basis: a return, or dollars. */
  readonly pnl: {
    readonly canary: Decimal;
    readonly stable: Decimal;
    readonly show: (value: Decimal) => string;
  };
  readonly evidence: Evidence;
  /** Whether the sequential test has pairs enough to overrule point values. */
  readonly tested: boolean;
  readonly config: CanaryConfig;
}

export function compare(compared: ComparisonInput): Comparison {
  const { config, metrics, returns } = compared;
  const evidence = evidenceUnder(config, compared.evidence);
  const { CANARY: canary, STABLE: stable } = metrics;
  if (!canary || !stable) return withoutMetrics(metrics, evidence);

  const byReturn = config.promotionCriteria.pnlBasis === 'RETURN_ON_CAPITAL';
  const input: GateInput = {
    canary,
    stable,
    pnl: byReturn
      ? { canary: returns.CANARY, stable: returns.STABLE, show: percent }
      : { canary: canary.netPnlUsd, stable: stable.netPnlUsd, show: dollars },
    evidence,
    tested: config.evidence.mode !== 'OFF' && evidence.pairs >= config.evidence.minSamples,
    config,
  };
  const gates = GATES.map((name) => named(name, JUDGES[name](input)));
  const failed = gates.filter((gate) => gate.outcome === 'FAILED');
  const decision = failed[0]?.severity ?? 'PROMOTE';
  const why = failed.length > 0 ? failed.map((gate) => gate.reason) : ['Every gate passed'];
  return {
    ...ratios(input),
    decision,
    decisionReasons: config.evidence.mode === 'OFF' ? why : [...why, describeEvidence(evidence)],
    gates,
    evidence,
  };
}

/** What the sequential test says under a configuration. */
export function evidenceUnder(config: CanaryConfig, sums: EvidenceSums): Evidence {
  const { alpha, minSamples } = config.evidence;
  return judge(sums, { alpha, minSamples, plannedChecks: plannedChecks(config) });
}

function withoutMetrics({ CANARY: canary, STABLE: stable }: MetricsBySide, evidence: Evidence): Comparison {
  const who = !canary && !stable ? 'neither side has' : `the ${canary ? 'stable' : 'canary'} side has not`;
  return {
    pnlRatio: null,
    drawdownRatio: null,
    sharpeRatio: null,
    winRateRatio: null,
    decision: 'CONTINUE',
    decisionReasons: [`Metrics: ${who} reported yet`],
    gates: [],
    evidence,
  };
}

/** One judge a gate, in the order of {@link GATES}. */
const JUDGES: Record<GateName, (input: GateInput) => GateFinding> = {
  FINITE({ canary, stable, pnl }) {
    const odd = [
      ...nonFiniteFigures(canary).map((name) => `canary ${name}`),
      ...nonFiniteFigures(stable).map((name) => `stable ${name}`),
      ...(pnl.canary.isFinite() ? [] : ['canary return']),
      ...(pnl.stable.isFinite() ? [] : ['stable return']),
    ];
    const reason = odd.length > 0 ? `Metrics: ${odd.join(', ')} not a finite number` : 'Metrics: all finite';
    return passOrFail(odd.length === 0, 'MANUAL_REVIEW', reason);
  },

  TRADES({ canary, config }) {
    const { minTrades } = config.promotionCriteria;
    const values = { measured: decimal(canary.trades), threshold: decimal(minTrades) };
    const reason = `Trades: canary made ${canary.trades}, at least ${minTrades} needed`;
    if (erredWithoutTrade(canary, minTrades)) {
      return {
        outcome: 'NOT_APPLICABLE',
        severity: 'CONTINUE',
        reason: `${reason}; it only erred`,
        ...values,
      };
    }
    return passOrFail(canary.trades >= minTrades, 'CONTINUE', reason, values);
  },

  ERROR_RATE({ canary, config }) {
    const { maxErrorRate, minTrades } = config.promotionCriteria;
    const rate = errorRate(canary);
    if (rate === null) {
      const reason = `Error rate: canary made ${canary.errors} errors and no trade`;
      return passOrFail(!erredWithoutTrade(canary, minTrades), 'ROLLBACK', reason, {
        threshold: maxErrorRate,
      });
    }
    const reason =
      `Error rate: canary ${canary.errors} errors in ${canary.trades} trades (${percent(rate, false)}), ` +
      `at most ${percent(maxErrorRate, false)} allowed`;
    return passOrFail(rate.lte(maxErrorRate), 'ROLLBACK', reason, {
      measured: toStoredPrecision(rate),
      threshold: maxErrorRate,
    });
  },

  POSITIVE_PNL({ canary, config }) {
    const values = { measured: canary.netPnlUsd, threshold: ZERO };
    const reason = `Positive PnL: canary ${dollars(canary.netPnlUsd)}, above 0 needed`;
    if (!config.promotionCriteria.requirePositivePnl) {
      return {
        outcome: 'NOT_APPLICABLE',
        severity: 'ROLLBACK',
        reason: 'Positive PnL: not required',
        ...values,
      };
    }
    return passOrFail(canary.netPnlUsd.gt(0), 'ROLLBACK', reason, values);
  },

  PNL({ pnl, config, evidence, tested }) {
    const threshold = shortfallLimit(pnl.stable, config.promotionCriteria.minPnlRatio);
    const values = { measured: toStored(pnl.canary), threshold: toStored(threshold) };
    const reason =
      `PnL: canary ${pnl.show(pnl.canary)} against stable ${pnl.show(pnl.stable)}, ` +
      `at least ${pnl.show(threshold)} needed`;
    const enough = pnl.canary.gte(threshold);
    if (!tested) return passOrFail(enough, 'ROLLBACK', reason, values);
    if (evidence.verdict === 'WORSE') {
      return passOrFail(false, 'ROLLBACK', `${reason}; worse beyond chance`, values);
    }
    if (evidence.verdict === 'NOT_WORSE' || enough) return passed('ROLLBACK', reason, values);
    return passOrFail(false, 'MANUAL_REVIEW', `${reason}; the shortfall is within noise`, values);
  },

  DRAWDOWN({ canary, stable, config, evidence, tested }) {
    const { maxDrawdownRatio, drawdownFloor } = config.promotionCriteria;
    const limit = Decimal.max(stable.maxDrawdown.times(maxDrawdownRatio), drawdownFloor);
    const values = { measured: toStored(canary.maxDrawdown), threshold: toStored(limit) };
    const reason =
      `Drawdown: canary ${percent(canary.maxDrawdown, false)} against stable ${percent(stable.maxDrawdown, false)}, ` +
      `at most ${percent(limit, false)} allowed`;
    const severity = tested && evidence.verdict !== 'WORSE' ? 'MANUAL_REVIEW' : 'ROLLBACK';
    return passOrFail(canary.maxDrawdown.lte(limit), severity, reason, values);
  },

  SHARPE({ canary, stable, config }) {
    return mustKeepUp('Sharpe', canary.sharpeRatio, stable.sharpeRatio, (value) =>
      shortfallLimit(value, config.promotionCriteria.minSharpeRatio),
    );
  },

  WIN_RATE({ canary, stable, config }) {
    return mustKeepUp('Win rate', canary.winRate, stable.winRate, (value) =>
      value.times(config.promotionCriteria.minWinRateRatio),
    );
  },

  EVIDENCE({ config, evidence }) {
    if (config.evidence.mode !== 'REQUIRED') {
      const reason = 'Evidence: not required for promotion';
      return { outcome: 'NOT_APPLICABLE', severity: 'MANUAL_REVIEW', reason };
    }
    const reason =
      evidence.verdict === 'NOT_WORSE'
        ? 'Evidence: the canary is not worse'
        : 'Evidence: promotion needs proof that the canary is not worse, and there is none yet';
    return passOrFail(evidence.verdict === 'NOT_WORSE', 'MANUAL_REVIEW', reason);
  },
};

/** Errors enough to judge a canary that never got a trade through. */
function erredWithoutTrade({ trades, errors }: SideMetrics, minTrades: number): boolean {
  return trades === 0 && errors > 0 && errors >= minTrades;
}

/** Quotients for a person. */
function ratios({ canary, stable, pnl }: GateInput): Ratios {
  return {
    pnlRatio: quotient(pnl.canary, pnl.stable),
    drawdownRatio: quotient(canary.maxDrawdown, stable.maxDrawdown),
    sharpeRatio: quotient(canary.sharpeRatio, stable.sharpeRatio),
    winRateRatio: quotient(canary.winRate, stable.winRate),
  };
}
