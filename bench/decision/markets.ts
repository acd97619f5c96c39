/**
 * Markets on which a rule that assumes independent returns goes wrong. Each opens the same course from the same stream,
 * one trade a check, so that an identical and a worse canary differ by what they are and not by luck.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import type { JumpableRandomGenerator } from 'pure-rand/types/JumpableRandomGenerator';
import type { CanaryConfigInput } from '../../src/core/config/parseConfig.ts';
import type { Market } from '../../src/core/policy/market.ts';

/** What a market is opened with. */
export interface Course {
  /** Standard deviation of a side's return per check. */
  readonly volatility: number;
  /** How much more the canary earns than the stable version at a check, counted from 0, in sigma. */
  readonly shift: (check: number) => number;
  readonly stream: JumpableRandomGenerator;
}

export interface MarketKind {
  readonly open: (course: Course) => Market;
  /** What the policy needs to be right there. */
  readonly policy?: CanaryConfigInput;
}

const COMMON = Math.sqrt(0.6);
const OWN = Math.sqrt(0.4);
/** Mean return of the stable version per check, in sigma. */
const EDGE = 0.05;

/** Standard normal draws, two at a time (Box and Muller 1958). */
function draws(stream: JumpableRandomGenerator): () => number {
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

/** The returns of both sides at a check, in sigma, before the canary's shift. */
type Step = (normal: () => number, stream: JumpableRandomGenerator) => () => readonly [number, number];

function marketOf(step: Step): MarketKind['open'] {
  return ({ volatility, shift, stream }) => {
    const next = step(draws(stream), stream);
    let check = 0;
    return {
      nextCheck(onTrade) {
        const [canary, stable] = next();
        onTrade(volatility * (canary + shift(check)), volatility * stable);
        check += 1;
      },
    };
  };
}

/** Both sides share the market, and what each earns besides is its own. */
const together = (market: number, own: number) => EDGE + COMMON * market + OWN * own;

/** First-order autocorrelation of everything, variance 1. */
function autoregressive(phi: number): Step {
  return (normal) => {
    const scale = Math.sqrt(1 - phi * phi);
    let [market, canary, stable] = [normal(), normal(), normal()];
    return () => {
      market = phi * market + scale * normal();
      canary = phi * canary + scale * normal();
      stable = phi * stable + scale * normal();
      return [together(market, canary), together(market, stable)];
    };
  };
}

/** The canary meets every move of the market one check after the stable version. */
const asynchronous: Step = (normal) => {
  let before = normal();
  return () => {
    const market = normal();
    const seen = before;
    before = market;
    return [together(seen, normal()), together(market, normal())];
  };
};

/** Three reports in ten are late: what a side earned shows one check later, together with the next. */
const lateReports: Step = (normal, stream) => {
  const side = () => {
    let held = 0;
    return (market: number) => {
      held += together(market, normal());
      if (uniformFloat64(stream) < 0.3) return 0;
      const shown = held;
      held = 0;
      return shown;
    };
  };
  const [canary, stable] = [side(), side()];
  return () => {
    const market = normal();
    return [canary(market), stable(market)];
  };
};

/** A side moves in one check of ten, and then as far as in ten. */
const mostlyZero: Step = (normal, stream) => () => {
  const market = normal();
  const size = Math.sqrt(10);
  const moved = () =>
    uniformFloat64(stream) < 0.1 ? EDGE * 10 + size * (COMMON * market + OWN * normal()) : 0;
  return [moved(), moved()];
};

/** Calm and wild weeks: volatility is half or two and a half of what it is, and changes every fifty checks. */
const regimes: Step = (normal, stream) => {
  let wild = uniformFloat64(stream) < 0.5;
  return () => {
    if (uniformFloat64(stream) < 0.02) wild = !wild;
    const size = wild ? 1.32 : 0.5;
    const market = normal();
    const side = () => EDGE + size * (COMMON * market + OWN * normal());
    return [side(), side()];
  };
};

const independent: Step = (normal) => () => {
  const market = normal();
  return [together(market, normal()), together(market, normal())];
};

/** The canary takes half the risk, and earns half of it, while the market rises. */
const halfLeverage: Step = (normal) => () => {
  const market = normal();
  const side = () => 0.15 + COMMON * market + OWN * normal();
  return [side() / 2, side()];
};

/** A trade costs both sides 20 cents: 0.02 sigma of the canary's 10,000 dollars, a ninth of that of the stable side's. */
const fixedCost: Step = (normal) => () => {
  const market = normal();
  return [together(market, normal()) - 0.02, together(market, normal()) - 0.02 / 9];
};

/** What the canary earns besides the market: small losses, and a large gain in 3 of 100 checks. Mean 0, as the stable side. */
const rareGains: Step = (normal, stream) => {
  const chance = 0.03;
  const gain = Math.sqrt((1 - chance) / chance);
  const loss = Math.sqrt(chance / (1 - chance));
  return () => {
    const market = normal();
    const won = uniformFloat64(stream) < chance;
    return [together(market, won ? gain : -loss), together(market, normal())];
  };
};

/** ARMA(0.8, -0.4) returns, variance 1: neighbours move together over more than five checks. */
const longDependence: Step = (normal) => {
  const size = Math.sqrt((1 - 0.8 ** 2) / (1 + 0.4 ** 2 - 2 * 0.8 * 0.4));
  const course = () => {
    let [value, before] = [normal(), normal()];
    return () => {
      const shock = normal();
      value = 0.8 * value + shock - 0.4 * before;
      before = shock;
      return size * value;
    };
  };
  const [market, canary, stable] = [course(), course(), course()];
  return () => {
    const both = market();
    return [together(both, canary()), together(both, stable())];
  };
};

export const MARKETS: Readonly<Record<string, MarketKind>> = {
  'independent, normal': { open: marketOf(independent) },
  'autocorrelated +0.3': { open: marketOf(autoregressive(0.3)) },
  'autocorrelated +0.6': { open: marketOf(autoregressive(0.6)) },
  'the canary one check after the stable version': { open: marketOf(asynchronous) },
  'three reports in ten a check late': { open: marketOf(lateReports) },
  'nine checks in ten without a move': { open: marketOf(mostlyZero) },
  'calm and wild regimes': { open: marketOf(regimes) },
  'half the leverage, RISK_MATCHED': {
    open: marketOf(halfLeverage),
    policy: { comparison: 'RISK_MATCHED' },
  },
  'the same cost a trade on a ninth of the capital': { open: marketOf(fixedCost) },
};

/** Markets in which the test does not hold: they are measured, and no bar is set for them. */
export const LIMITS: Readonly<Record<string, MarketKind>> = {
  'small losses and rare large gains of the canary': { open: marketOf(rareGains) },
  'dependence over more than five checks': { open: marketOf(longDependence) },
};

/** A canary that is as good as the stable version at first, and turns bad at this share of the observation. */
export const TURNS: Readonly<Record<string, { readonly from: number; readonly to: number }>> = {
  'turns to -0.5 sigma at one half': { from: 0.5, to: -0.5 },
  'turns to -1 sigma at one half': { from: 0.5, to: -1 },
  'turns to -0.5 sigma at three quarters': { from: 0.75, to: -0.5 },
};

export function turning(checks: number, { from, to }: { readonly from: number; readonly to: number }) {
  return (check: number): number => (check < from * checks ? 0 : to);
}
