/**
 * The gates of the comparison, one function each. They compute with differences, never with ratios, so a negative or
 * zero denominator cannot turn a comparison round. Which of them evidence may overrule, and which it may not, is the
 * decision table of docs/evidence.md.
 */
import { type CanaryConfig, DEFAULT_MIN_SHARPE_RATIO } from '../config/config.ts';
import { nonFiniteFigures, type SideMetrics } from '../metrics/sideMetrics.ts';
import { Decimal, decimal, toStoredPrecision, ZERO } from '../values/decimal.ts';
import { percent, short, signedDollars } from '../values/format.ts';
import { attemptErrorRate } from './errorRate.ts';
import type { EvidenceFigures } from './evidenceFigures.ts';
import {
  failed,
  type GateFinding,
  type GateName,
  mustKeepUp,
  notApplicable,
  passed,
  passOrFail,
  shortfallLimit,
  toStored,
} from './gate.ts';
import { isClearlyWorse, type TestResult } from './sequentialTest.ts';
import { sharpeOfChecks } from './sharpe.ts';

/** The order in which gates decide: the first that fails says what the comparison leads to. */
export const GATE_ORDER: readonly GateName[] = [
  'FINITE',
  'ERROR_RATE',
  'TRADES',
  'POSITIVE_PNL',
  'PNL',
  'DRAWDOWN',
  'SHARPE',
  'WIN_RATE',
  'EVIDENCE',
];

/** Both sides as the gates see them. */
export interface Compared {
  readonly canary: SideMetrics;
  readonly stable: SideMetrics;
  /** On the chosen basis: a return, or dollars. */
  readonly pnl: {
    readonly canary: Decimal;
    readonly stable: Decimal;
    readonly show: (value: Decimal) => string;
  };
  readonly figures: EvidenceFigures;
  readonly evidence: TestResult;
  /** Whether this is the check that ends the observation: the only one that may make a single test. */
  readonly ends: boolean;
  readonly config: CanaryConfig;
}

/** One gate each; what they say is independent of the others. */
export const GATE_FUNCTIONS: Readonly<Record<GateName, (compared: Compared) => GateFinding>> = {
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

  ERROR_RATE({ canary, stable, config }) {
    const { maxErrorRate, maxErrorRateRatio, minTrades } = config.promotionCriteria;
    const { trades, errors } = canary;
    const rate = attemptErrorRate(canary, minTrades);
    if (rate === null) {
      const reason = `Error rate: canary made ${trades + errors} attempts, judged from ${minTrades} on`;
      return notApplicable('ROLLBACK', reason, { threshold: maxErrorRate });
    }
    const ofStable = maxErrorRateRatio && attemptErrorRate(stable, minTrades);
    const limit = ofStable ? Decimal.max(maxErrorRate, maxErrorRateRatio.times(ofStable)) : maxErrorRate;
    const shared = () =>
      ofStable && limit.gt(maxErrorRate) ? `; the stable side has ${percent(ofStable, false)}` : '';
    const reason = () =>
      `Error rate: canary ${errors} errors in ${trades} trades (${percent(rate, false)}), ` +
      `at most ${percent(limit, false)} allowed${shared()}`;
    // Errors without a single trade are never good enough, however high the limit.
    const pass = rate.lte(limit) && !(trades === 0 && errors > 0);
    return passOrFail(pass, 'ROLLBACK', reason, {
      measured: toStoredPrecision(rate),
      threshold: toStored(limit),
    });
  },

  TRADES({ canary, config }) {
    const { minTrades } = config.promotionCriteria;
    const values = { measured: decimal(canary.trades), threshold: decimal(minTrades) };
    const reason = `Trades: canary made ${canary.trades}, at least ${minTrades} needed`;
    return passOrFail(canary.trades >= minTrades, 'CONTINUE', reason, values);
  },

  POSITIVE_PNL({ canary, config }) {
    const values = { measured: canary.netPnlUsd, threshold: ZERO };
    if (!config.promotionCriteria.requirePositivePnl) {
      return notApplicable('ROLLBACK', 'Positive PnL: not required', values);
    }
    const reason = () => `Positive PnL: canary ${signedDollars(canary.netPnlUsd)}, above $0 needed`;
    return passOrFail(canary.netPnlUsd.gt(0), 'ROLLBACK', reason, values);
  },

  PNL(compared) {
    const { pnl, config, evidence, figures, ends } = compared;
    const threshold = shortfallLimit(pnl.stable, config.promotionCriteria.minPnlRatio);
    const values = { measured: toStored(pnl.canary), threshold: toStored(threshold) };
    const reason = () =>
      `PnL: canary ${pnl.show(pnl.canary)} against stable ${pnl.show(pnl.stable)}, ` +
      `at least ${pnl.show(threshold)} needed`;
    const enough = pnl.canary.gte(threshold);
    if (config.evidence.mode === 'OFF') return passOrFail(enough, 'ROLLBACK', reason, values);
    const because = (why: string) => () => `${reason()}; ${why}`;
    const review = (why: string) => failed('MANUAL_REVIEW', because(why), values);
    const still = sideStandingStill(compared);
    if (still) return review(`the ${still} figures stand still, so there is nothing to compare with`);
    switch (evidence.verdict) {
      case 'WORSE':
        return failed('ROLLBACK', because(worseWords(evidence)), values);
      case 'NOT_WORSE':
        return passed('ROLLBACK', because(notWorseWords(evidence)), values);
      case 'OPEN':
        if (!hasEnoughPairs(evidence)) {
          if (ends && isClearlyWorse(figures)) {
            return failed('ROLLBACK', because('clearly worse in the single test at the end'), values);
          }
          return review(tooEarlyWords(evidence));
        }
        return enough ? passed('ROLLBACK', reason, values) : review('the shortfall is within noise');
    }
  },

  DRAWDOWN({ canary, stable, config, evidence }) {
    const { maxDrawdownRatio, drawdownFloor } = config.promotionCriteria;
    const limit = Decimal.max(stable.maxDrawdown.times(maxDrawdownRatio), drawdownFloor);
    const values = { measured: toStored(canary.maxDrawdown), threshold: toStored(limit) };
    const reason = () =>
      `Drawdown: canary ${percent(canary.maxDrawdown, false)} against stable ${percent(stable.maxDrawdown, false)}, ` +
      `at most ${percent(limit, false)} allowed`;
    if (canary.maxDrawdown.lte(limit)) return passed('ROLLBACK', reason, values);
    if (config.evidence.mode === 'OFF' || evidence.verdict === 'WORSE')
      return failed('ROLLBACK', reason, values);
    const close = canary.maxDrawdown.lte(stable.maxDrawdown.plus(drawdownFloor));
    if (evidence.verdict === 'NOT_WORSE' && close) {
      return passed('MANUAL_REVIEW', () => `${reason()}; the excess is within noise`, values);
    }
    return failed('MANUAL_REVIEW', reason, values);
  },

  SHARPE({ canary, stable, config, evidence, figures }) {
    const { minSharpeRatio } = config.promotionCriteria;
    const limitFor = (value: Decimal) => shortfallLimit(value, minSharpeRatio);
    const reported = mustKeepUp('Sharpe', canary.sharpeRatio, stable.sharpeRatio, limitFor);
    // A canary that stops reporting its own must gain nothing by it, so only the stable side's report counts.
    const asked = stable.sharpeRatio !== null || !minSharpeRatio.eq(DEFAULT_MIN_SHARPE_RATIO);
    if (config.evidence.mode === 'OFF' || !asked || !hasEnoughPairs(evidence)) return reported;
    const computed = sharpeOfChecks(figures);
    if (!computed) return reported;
    const [ofCanary, ofStable] = [decimal(computed.canary), decimal(computed.stable)];
    const threshold = limitFor(ofStable);
    const values = { measured: toStored(ofCanary), threshold: toStored(threshold) };
    const owner = (value: Decimal | null) => (value === null ? 'none' : short(value));
    const reason = () =>
      `Sharpe: canary ${short(ofCanary)} against stable ${short(ofStable)} a check, at least ${short(threshold)} ` +
      `needed (reported: ${owner(canary.sharpeRatio)} against ${owner(stable.sharpeRatio)})`;
    if (ofCanary.gte(threshold)) return passed('MANUAL_REVIEW', reason, values);
    const noise = decimal(2 * computed.standardError);
    if (evidence.verdict === 'NOT_WORSE' && ofCanary.plus(noise).gte(threshold)) {
      return passed('MANUAL_REVIEW', () => `${reason()}; the shortfall is within noise`, values);
    }
    return failed('MANUAL_REVIEW', reason, values);
  },

  WIN_RATE({ canary, stable, config }) {
    return mustKeepUp('Win rate', canary.winRate, stable.winRate, (value) =>
      value.times(config.promotionCriteria.minWinRateRatio),
    );
  },

  EVIDENCE(compared) {
    const { config, evidence } = compared;
    const { mode } = config.evidence;
    const restarted = sidesWhere(compared, ({ fellAt }) => fellAt !== undefined);
    if (restarted.length > 0) {
      const reason = `Evidence: the counters of the ${restarted.join(' and the ')} side fell, and no session began: what it earned before may be missing`;
      return failed('MANUAL_REVIEW', reason);
    }
    const hidden = sidesWhere(compared, ({ unrealizedPnlUsd }) => unrealizedPnlUsd === undefined);
    if (config.requireUnrealized && hidden.length > 0) {
      const reason = `Evidence: no unrealizedPnlUsd of the ${hidden.join(' and the ')} side, and the configuration requires it`;
      return failed('MANUAL_REVIEW', reason);
    }
    if (mode === 'OFF') return notApplicable('MANUAL_REVIEW', 'Evidence: switched off');
    const still = sideStandingStill(compared);
    if (still) {
      const reason = `Evidence: the ${still} figures stand still, so they prove nothing about the canary`;
      return failed('MANUAL_REVIEW', reason);
    }
    if (mode !== 'REQUIRED') return notApplicable('MANUAL_REVIEW', 'Evidence: not required for promotion');
    return evidence.verdict === 'NOT_WORSE'
      ? passed('MANUAL_REVIEW', 'Evidence: the canary is not worse')
      : failed(
          'MANUAL_REVIEW',
          'Evidence: promotion needs proof that the canary is not worse, and there is none yet',
        );
  },
};

/** Whether there are effective pairs enough for the sequential test to overrule point values. */
function hasEnoughPairs({ effectivePairs, minSamples, pairs }: TestResult): boolean {
  return pairs >= 2 && effectivePairs >= minSamples;
}

/**
 * The side that is no comparison: its figures stood still over the latest `minSamples` informative pairs, or neither
 * side has traded or moved at all. A canary may be idle; where a provider answers for it and does not say when its
 * figures were taken, an idle one cannot be distinguished from a dead one, whose last figures are repeated indefinitely.
 */
function sideStandingStill({ canary, stable, figures, config }: Compared): 'stable' | 'canary' | null {
  const { minSamples } = config.evidence;
  const { pairs, stableStill, canaryStill = 0 } = figures;
  if (pairs >= minSamples && stableStill >= minSamples) return 'stable';
  const undated = config.metricsProvider !== null && canary.asOf === undefined;
  if (undated && pairs >= minSamples && canaryStill >= minSamples) return 'canary';
  const moved = [canary, stable].some(({ trades, netPnlUsd }) => trades > 0 || !netPnlUsd.isZero());
  return pairs === 0 && !moved ? 'stable' : null;
}

/** Names of the sides whose figures are such. */
function sidesWhere({ canary, stable }: Compared, such: (metrics: SideMetrics) => boolean): string[] {
  const named: readonly (readonly [string, SideMetrics])[] = [
    ['canary', canary],
    ['stable', stable],
  ];
  return named.filter(([, metrics]) => such(metrics)).map(([name]) => name);
}

function worseWords({ by }: TestResult): string {
  return by === 'DRIFT' ? 'it has turned worse, beyond chance' : 'worse beyond chance';
}

function notWorseWords({ difference, margin }: TestResult): string {
  if (margin === 0 || !difference || difference.mean >= 0) return 'not worse, beyond chance';
  const [by, within] = [-difference.mean, margin].map((value) => percent(decimal(value), false));
  return `worse by ${by} a check, within the margin of ${within}`;
}

export function tooEarlyWords({ effectivePairs, minSamples }: TestResult): string {
  return `too early to say: ${Math.floor(effectivePairs)} of ${minSamples} effective pairs`;
}
