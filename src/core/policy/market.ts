/**
 * A simulated market for two versions of a strategy. Returns have heavy tails (Student t, 4 degrees of freedom),
 * volatility comes in clusters (GARCH(1,1), Bollerslev 1986 and 1987), and a common factor moves both sides; these
 * are the stylised facts of Cont, "Empirical properties of asset returns" (2001). One seed fixes everything.
 */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { JumpableRandomGenerator } from 'pure-rand/types/JumpableRandomGenerator';
import { skipN } from 'pure-rand/utils/skipN';
import type { Assumptions } from './assumptions.ts';

/** Weights of the latest shock and of the variance before it: a half-life of some 34 checks. */
const SHOCK_WEIGHT = 0.08;
const MEMORY_WEIGHT = 0.9;
const LONG_RUN_WEIGHT = 1 - SHOCK_WEIGHT - MEMORY_WEIGHT;
/** Checks before a trial begins, so that it may begin in a calm or a volatile market. */
const BURN_IN = 100;

/** Independent streams of random numbers from one seed, 2^64 numbers apart. */
export function* streams(seed: number): Generator<JumpableRandomGenerator, never> {
  const base = xoroshiro128plus(seed);
  skipN(base, 20);
  for (;;) {
    yield base.clone();
    base.jump();
  }
}

/** What each trade of a check earned, as fractions of the side's capital. */
export type OnTrade = (canaryReturn: number, stableReturn: number) => void;

/** A market that advances check by check, without end. */
export interface Market {
  /** Moves to the next check and tells of the trades on the way; both sides make the same number. */
  nextCheck(onTrade: OnTrade): void;
}

/**
 * @param shift how much more the canary earns than the stable version, in sigma between two checks
 */
export function createMarket(
  assumptions: Assumptions,
  shift: number,
  stream: JumpableRandomGenerator,
): Market {
  const { tradesPerCheck, volatility, correlation, edge, autocorrelation } = assumptions;
  const draw = normalDraws(stream);
  const common = Math.sqrt(correlation);
  const own = Math.sqrt(1 - correlation);
  const scale = (volatility / Math.sqrt(tradesPerCheck)) * Math.sqrt(1 - autocorrelation ** 2);
  const stableMean = (edge * volatility) / tradesPerCheck;
  const canaryMean = ((edge + shift) * volatility) / tradesPerCheck;
  /** What each side earned beyond its mean at the latest check with trades. */
  const before = { canary: 0, stable: 0 };
  let variance = 1;
  let clock = 0;
  let made = 0;
  const remember = (shock: number) => {
    variance = LONG_RUN_WEIGHT + (SHOCK_WEIGHT * shock * shock + MEMORY_WEIGHT) * variance;
  };
  for (let check = 0; check < BURN_IN; check += 1) remember(draw() / tail());
  return { nextCheck };

  function nextCheck(onTrade: OnTrade): void {
    clock += tradesPerCheck;
    const trades = Math.floor(clock + 1e-9) - made;
    made += trades;
    if (trades === 0) {
      remember(draw() / tail());
      return;
    }
    const size = scale * Math.sqrt(variance);
    const drift = {
      canary: canaryMean + (autocorrelation * before.canary) / trades,
      stable: stableMean + (autocorrelation * before.stable) / trades,
    };
    before.canary *= autocorrelation;
    before.stable *= autocorrelation;
    let shock = 0;
    for (let trade = 0; trade < trades; trade += 1) {
      const spread = tail();
      const factor = draw() / spread;
      shock += factor;
      const canary = size * (common * factor + (own * draw()) / spread);
      const stable = size * (common * factor + (own * draw()) / spread);
      before.canary += canary;
      before.stable += stable;
      onTrade(drift.canary + canary, drift.stable + stable);
    }
    remember(shock / Math.sqrt(trades));
  }

  /**
   * A normal draw over this has a Student t distribution with 4 degrees of freedom and variance 1: its square is a
   * chi-squared variable of 4 degrees over 2. Shared by both sides, so that shocks reach both together.
   */
  function tail(): number {
    return Math.sqrt(-Math.log((1 - uniformFloat64(stream)) * (1 - uniformFloat64(stream))));
  }
}

/** Standard normal draws, two at a time (Box and Muller 1958). */
function normalDraws(stream: JumpableRandomGenerator): () => number {
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(stream)));
    const angle = 2 * Math.PI * uniformFloat64(stream);
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
