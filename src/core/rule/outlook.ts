/**
 * What a person wants to know besides the verdict: how many more checks until there is one, the least difference that
 * this observation can show, how likely the canary is the better one, and what is at risk until then. Estimates: they
 * take the future to be as volatile and as correlated as the past. Nothing is decided on them.
 */
import type { TradingDay } from '../config/tradingHours.ts';
import type { Decimal } from '../values/decimal.ts';
import { halfWidth, lengthForHalfWidth } from './confidenceSequence.ts';
import type { EvidenceFigures, SeriesFigures } from './evidenceFigures.ts';
import { variesBeyondRounding } from './longRunVariance.ts';
import { inflation, judgeEvidence, type TestSettings } from './sequentialTest.ts';
import { normalProbability } from './studentT.ts';

/** What of the deployment an outlook depends on, besides its evidence. */
export interface OutlookContext {
  /** Checks taken so far, and those left until the deadline. */
  readonly checks: number;
  readonly checksLeft: number;
  readonly checkIntervalSeconds: number;
  /** What the canary works with, USD. */
  readonly canaryUsd: Decimal;
  /** Whether a check can have more than one pair: with pairs by signal. */
  readonly manyPairs: boolean;
  /** What a day, and a year of them, is. */
  readonly day: TradingDay;
}

/** Null where too little is known to say. */
export interface Outlook {
  /** More checks until the test decides, if the difference stays what it is; 0 once it has. */
  readonly checksToDecide: number | null;
  readonly decidesBeforeDeadline: boolean | null;
  /** The least difference of returns a day of trading that is distinguishable by the deadline, a fraction of capital. */
  readonly leastDetectablePerDay: number | null;
  /** The same as a difference of Sharpe ratios a year. */
  readonly leastDetectableSharpe: number | null;
  /** The probability that the canary earns more than the stable version, 0 to 1, before any other knowledge. */
  readonly probabilityBetter: number | null;
  /** What the canary loses at most until the deadline in 19 of 20 cases, at its measured volatility, USD. */
  readonly usdAtRisk: Decimal | null;
  /** What would make the test say more, in sentences. */
  readonly advice: readonly string[];
}

/** The one-sided 95 % point of the normal distribution. */
const Z95 = 1.6448536269514722;
/** From this many times fewer effective pairs on, a longer interval between checks would lose nothing. */
const CORRELATED = 3;

/** What may be expected of an observation from here on. */
export function outlookOf(
  figures: EvidenceFigures,
  settings: TestSettings,
  context: OutlookContext,
): Outlook {
  const { pairs } = figures;
  if (pairs < 2) return NOTHING;
  const series = differenceOf(figures);
  const perCheck = context.checks > 0 ? pairs / context.checks : 1;
  const share = context.manyPairs ? perCheck : Math.min(1, perCheck);
  const checksToDecide = moreChecks(figures, settings, share);
  const atDeadline = pairs + context.checksLeft * share;
  const sequence = { planned: figures.planned, alpha: settings.alpha };
  const least = halfWidth(atDeadline, series.longRunVariance, sequence) * share;
  const checksOfDay = context.day.seconds / context.checkIntervalSeconds;
  const deviation = figures.returns.canaryDeviation * Math.sqrt(share);
  const serial = Math.max(1, inflation(series));
  return {
    checksToDecide,
    decidesBeforeDeadline: checksToDecide === null ? false : checksToDecide <= context.checksLeft,
    leastDetectablePerDay: least * checksOfDay,
    leastDetectableSharpe:
      deviation > 0 ? (least / deviation) * Math.sqrt(checksOfDay * context.day.daysOfYear) : null,
    probabilityBetter:
      series.longRunVariance > 0
        ? normalProbability(series.mean / Math.sqrt(series.longRunVariance / pairs))
        : null,
    usdAtRisk: context.canaryUsd
      .times(Z95 * deviation * Math.sqrt(serial * context.checksLeft))
      .toDecimalPlaces(2),
    advice: adviceFor(serial),
  };
}

const NOTHING: Outlook = {
  checksToDecide: null,
  decidesBeforeDeadline: null,
  leastDetectablePerDay: null,
  leastDetectableSharpe: null,
  probabilityBetter: null,
  usdAtRisk: null,
  advice: [],
};

/** The plain difference as a series: the mean of both, with a deviation that is at most the mean of theirs. */
function differenceOf({ whenEarning, whenLosing }: EvidenceFigures): SeriesFigures {
  const middle = (of: (series: SeriesFigures) => number) => (of(whenEarning) + of(whenLosing)) / 2;
  return {
    mean: middle(({ mean }) => mean),
    variance: middle(({ variance }) => Math.sqrt(variance)) ** 2,
    longRunVariance: middle(({ longRunVariance }) => Math.sqrt(longRunVariance)) ** 2,
    effective: Math.min(whenEarning.effective, whenLosing.effective),
    logDrift: Math.min(whenEarning.logDrift, whenLosing.logDrift),
  };
}

/** Solves for the length at which an interval leaves zero, or the margin, on the side that its mean is on. */
function moreChecks(figures: EvidenceFigures, settings: TestSettings, share: number): number | null {
  if (judgeEvidence(figures, settings).verdict !== 'OPEN') return 0;
  const { pairs, planned, whenEarning, whenLosing } = figures;
  const sequence = { planned, alpha: settings.alpha };
  const lengths = [whenEarning, whenLosing].map((series) => ({
    // A series without variance is never proof of being good enough.
    good: variesBeyondRounding(series) ? lengthTo(series.mean + settings.margin, series) : null,
    bad: lengthTo(-series.mean, series),
  }));
  const good = least(lengths.map((length) => length.good));
  const bad = lengths.some((length) => length.bad === null)
    ? null
    : Math.max(...lengths.map((length) => length.bad ?? 0));
  const needed = least([good, bad]);
  if (needed === null) return null;
  const effective = Math.min(whenEarning.effective, whenLosing.effective) / pairs;
  const enough = Math.max(needed, settings.minSamples / effective);
  return Math.max(1, Math.ceil((enough - pairs) / share));

  function lengthTo(width: number, series: SeriesFigures): number | null {
    return width > 0 ? lengthForHalfWidth(width, series.longRunVariance, sequence) : null;
  }
}

function least(values: readonly (number | null)[]): number | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length > 0 ? Math.min(...known) : null;
}

function adviceFor(serial: number): string[] {
  if (serial < CORRELATED) return [];
  return [
    `neighbouring checks move together, so they count ${serial.toFixed(1)} times less: a longer check interval loses nothing`,
  ];
}
