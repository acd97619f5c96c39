/** Returns of two sides, check by check, as tests of the decision rule need them. One seed fixes everything. */

export type Pair = readonly [canary: number, stable: number];

/** Standard deviation of a side's return per check. */
const SIGMA = 0.001;
/** Half of the variance is the market's, the rest each side's own: a correlation of 0.6. */
const COMMON = Math.sqrt(0.6);
const OWN = Math.sqrt(0.4);

/** Standard normal draws of the minimal standard generator (Park and Miller 1988; Box and Muller 1958). */
function normals(seed: number): () => number {
  let state = seed * 7919 + 1;
  const uniform = () => {
    state = (state * 16_807) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  for (let burn = 0; burn < 10; burn += 1) uniform();
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

export interface Course {
  /** How much more the canary earns than the stable side, in sigma, by number of check from 0. */
  readonly shift?: (check: number) => number;
  /** First-order autocorrelation of the market and of what each side earns beside it. */
  readonly phi?: number;
}

export function pairedReturns(
  seed: number,
  checks: number,
  { shift = () => 0, phi = 0 }: Course = {},
): Pair[] {
  const draw = normals(seed);
  const scale = Math.sqrt(1 - phi * phi);
  let [market, ofCanary, ofStable] = [draw(), draw(), draw()];
  return Array.from({ length: checks }, (_, check): Pair => {
    market = phi * market + scale * draw();
    ofCanary = phi * ofCanary + scale * draw();
    ofStable = phi * ofStable + scale * draw();
    const both = 0.05 + COMMON * market;
    return [SIGMA * (both + OWN * ofCanary + shift(check)), SIGMA * (both + OWN * ofStable)];
  });
}
