/**
 * The confidence interval of the evidence as a bar: the line in the middle is what it must clear. Right of it the
 * canary is not worse beyond chance, left of it it is.
 */
import type { ReactElement } from 'react';
import type { EvidenceVerdict } from '../api/generated/graphql';
import { percentChange } from '../format';

interface IntervalBarProps {
  readonly interval: { readonly mean: number; readonly low: number; readonly high: number } | null;
  readonly verdict: EvidenceVerdict;
}

/** Where a value lies on a scale whose middle is zero, in percent. */
function place(value: number, reach: number): number {
  return 50 + Math.max(-50, Math.min(50, (value / reach) * 50));
}

export function IntervalBar({ interval, verdict }: IntervalBarProps): ReactElement {
  if (!interval) {
    return (
      <svg
        className="interval"
        viewBox="0 0 100 8"
        preserveAspectRatio="none"
        role="img"
        aria-label="No evidence yet"
      >
        <line className="interval-zero" x1="50" x2="50" y1="0" y2="8" />
      </svg>
    );
  }
  const reach = Math.max(Math.abs(interval.low), Math.abs(interval.high), 1e-12) * 1.08;
  const [low, high, mean] = [interval.low, interval.high, interval.mean].map((end) => place(end, reach));
  const label = `Evidence per check: estimate ${percentChange(interval.mean, 4)}, between ${percentChange(interval.low, 4)} and ${percentChange(interval.high, 4)}; the line is 0`;
  return (
    <svg className="interval" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      <rect
        className={`interval-band verdict-${verdict.toLowerCase()}`}
        x={low}
        width={Math.max(0.5, (high ?? 50) - (low ?? 50))}
        y="2"
        height="4"
      />
      <line className="interval-zero" x1="50" x2="50" y1="0" y2="8" />
      <line className="interval-mean" x1={mean} x2={mean} y1="1" y2="7" />
    </svg>
  );
}
