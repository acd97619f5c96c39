/**
 * Canary against stable under the promotion criteria: every gate in order, and the decision they lead to. Evidence in
 * the form of the first rule is compared as that rule did, so that old records say what they said.
 */
import { type CanaryConfig, marginPerCheck } from '../config/config.ts';
import type { MetricsBySide } from '../metrics/sideMetrics.ts';
import { type Decimal, decimal } from '../values/decimal.ts';
import { percent, signedDollars } from '../values/format.ts';
import type { BySide } from '../values/side.ts';
import type { EvidenceFigures } from './evidenceFigures.ts';
import { type CanaryDecision, type GateResult, named, quotient, type Ratios } from './gate.ts';
import { type Compared, GATE_FUNCTIONS, GATE_ORDER, tooEarlyWords } from './gates.ts';
import { type EvidenceVerdict, judgeEvidence, speakingInterval, type TestResult } from './sequentialTest.ts';
import { compare as compareFirst, evidenceUnder as firstEvidenceUnder } from './version1/comparison.ts';
import {
  describeEvidence as describeFirst,
  type EvidenceSums,
  type Evidence as FirstEvidence,
} from './version1/evidence.ts';

/** What the test said: of the rule that the deployment was under. */
export type Evidence = FirstEvidence | TestResult;

export interface Comparison extends Ratios {
  readonly decision: CanaryDecision;
  readonly decisionReasons: readonly string[];
  readonly gates: readonly GateResult[];
  readonly evidence: Evidence;
}

export interface ComparisonInput {
  readonly metrics: MetricsBySide;
  /** Net PnL over the capital of its own interval, added up over the time in which both sides held capital. */
  readonly returns: BySide<Decimal>;
  /** The figures of the present rule, or the sums of the first. */
  readonly evidence: EvidenceFigures | EvidenceSums;
  readonly config: CanaryConfig;
  /** Whether this is the check that ends the observation. A comparison that is only read never does. */
  readonly ends?: boolean;
}

/** Compares the two sides. Pure: the same input always gives the same comparison. */
export function compare(input: ComparisonInput): Comparison {
  const { config, metrics, returns, evidence: given } = input;
  if (!isFigures(given)) return compareFirst({ config, metrics, returns, evidence: given });
  const evidence = evidenceUnder(config, given);
  const compared = comparedSides(input, given, evidence);
  if (!compared) return withoutMetrics(metrics, evidence);
  const { canary, stable } = compared;
  const gates = GATE_ORDER.map((name) => named(name, GATE_FUNCTIONS[name](compared)));
  const failures = gates.filter(({ outcome }) => outcome === 'FAILED');
  const reasons = failures.length > 0 ? failures.map(({ reason }) => reason) : ['Every gate passed'];
  return {
    pnlRatio: quotient(compared.pnl.canary, compared.pnl.stable),
    drawdownRatio: quotient(canary.maxDrawdown, stable.maxDrawdown),
    sharpeRatio: quotient(canary.sharpeRatio, stable.sharpeRatio),
    winRateRatio: quotient(canary.winRate, stable.winRate),
    decision: failures[0]?.severity ?? 'PROMOTE',
    decisionReasons: config.evidence.mode === 'OFF' ? reasons : [...reasons, describeEvidence(evidence)],
    gates,
    evidence,
  };
}

/** The decision of {@link compare} alone: the first gate that fails, without what the others find and without words. */
export function decisionOf(input: ComparisonInput): CanaryDecision {
  const { config, evidence: given } = input;
  if (!isFigures(given)) return compare(input).decision;
  const compared = comparedSides(input, given, evidenceUnder(config, given));
  if (!compared) return 'CONTINUE';
  for (const name of GATE_ORDER) {
    const { outcome, severity } = GATE_FUNCTIONS[name](compared);
    if (outcome === 'FAILED') return severity;
  }
  return 'PROMOTE';
}

/** What the test says, of the rule that the deployment was under. */
export function verdictOf({ config, evidence }: ComparisonInput): EvidenceVerdict {
  return (isFigures(evidence) ? evidenceUnder(config, evidence) : firstEvidenceUnder(config, evidence))
    .verdict;
}

/** Both sides as the gates see them; null before both have reported. */
function comparedSides(
  { config, metrics, returns, ends = false }: ComparisonInput,
  figures: EvidenceFigures,
  evidence: TestResult,
): Compared | null {
  const { CANARY: canary, STABLE: stable } = metrics;
  if (!canary || !stable) return null;
  const byReturn = config.promotionCriteria.pnlBasis === 'RETURN_ON_CAPITAL';
  const pnl = byReturn
    ? { canary: returns.CANARY, stable: returns.STABLE, show: percent }
    : { canary: canary.netPnlUsd, stable: stable.netPnlUsd, show: signedDollars };
  return { canary, stable, pnl, figures, evidence, ends, config };
}

/** What the sequential test says under a configuration. */
export function evidenceUnder(config: CanaryConfig, figures: EvidenceFigures): TestResult {
  const { alpha, minSamples } = config.evidence;
  return judgeEvidence(figures, { alpha, minSamples, margin: marginPerCheck(config) });
}

export function isFigures(evidence: EvidenceFigures | EvidenceSums): evidence is EvidenceFigures {
  return 'whenEarning' in evidence;
}

/** What the present form of the test found; null where a deployment was under the first. */
export function testResultOf(evidence: Evidence): TestResult | null {
  return 'drift' in evidence ? evidence : null;
}

function withoutMetrics({ CANARY: canary, STABLE: stable }: MetricsBySide, evidence: TestResult): Comparison {
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

const SAID: Readonly<Record<EvidenceVerdict, string>> = {
  WORSE: 'the canary is worse, beyond chance',
  NOT_WORSE: 'the canary is not worse, beyond chance',
  OPEN: 'still open, the difference is within noise',
};

/** From here on, rare large gains of the canary may not have come yet. */
const SKEWED = 1;

/** The test as a message, for reasons and screens. */
export function describeEvidence(evidence: Evidence): string {
  const result = testResultOf(evidence);
  if (!result) return describeFirst(evidence);
  const { verdict, by, pairs, minSamples, effectivePairs, skewness } = result;
  const interval = speakingInterval(result);
  const counted = `${pairs} pairs, ${Math.floor(effectivePairs)} effective`;
  if (by === 'DRIFT') return `Evidence: the canary has turned worse, beyond chance (${counted})`;
  if (effectivePairs < minSamples || !interval) return `Evidence: ${tooEarlyWords(result)}`;
  const [mean, low, high] = [interval.mean, interval.low, interval.high].map((end) => percent(decimal(end)));
  const skewed =
    skewness >= SKEWED
      ? `; the difference is skewed (${skewness.toFixed(1)}): rare large gains of the canary may not have come yet`
      : '';
  return (
    `Evidence: ${SAID[verdict]}: ${mean} a check against the least acceptable, ` +
    `between ${low} and ${high} (${counted}, ${result.plannedChecks} checks planned)${skewed}`
  );
}
