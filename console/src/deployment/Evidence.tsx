/** The sequential test in words and as its interval. */
import type { ReactElement } from 'react';
import type { DetailFragment, EvidenceVerdict } from '../api/generated/graphql';
import { IntervalBar } from '../charts/IntervalBar';
import { count, percent, percentChange } from '../format';

const VERDICTS: Record<EvidenceVerdict, string> = {
  OPEN: 'Open',
  WORSE: 'Worse, beyond chance',
  NOT_WORSE: 'Not worse, beyond chance',
};

export function Evidence({ comparison }: Pick<DetailFragment, 'comparison'>): ReactElement | null {
  if (!comparison) return null;
  const { evidence } = comparison;
  const { interval, pairs, minSamples, plannedChecks, alpha } = evidence;
  return (
    <section className="panel" aria-labelledby="evidence">
      <h2 id="evidence">Evidence</h2>
      <p>
        <b>{VERDICTS[evidence.verdict]}.</b> <span className="quiet">{evidence.summary}</span>
      </p>
      <IntervalBar interval={interval} verdict={evidence.verdict} />
      <dl className="figures">
        <Figure label="Estimate a check" value={percentChange(interval?.mean, 4)} />
        <Figure label="From" value={percentChange(interval?.low, 4)} />
        <Figure label="To" value={percentChange(interval?.high, 4)} />
        <Figure label="Pairs" value={`${count(pairs)} of ${count(plannedChecks)}`} />
        <Figure label="Speaks from" value={`${count(minSamples)} pairs`} />
        <Figure label="Error rate" value={percent(alpha, 1)} />
      </dl>
    </section>
  );
}

export function Figure({ label, value }: { readonly label: string; readonly value: string }): ReactElement {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}
