/** The sequential test: its verdict, its interval, and its outlook until the deadline. */
import type { ReactElement } from 'react';
import type { DetailFragment, EvidenceVerdict } from '../api/generated/graphql';
import { IntervalBar } from '../charts/IntervalBar';
import { count, decimal, duration, percent, percentChange, percentOfLimit, usd } from '../format';

const VERDICTS: Record<EvidenceVerdict, string> = {
  OPEN: 'Open',
  WORSE: 'Worse beyond chance',
  NOT_WORSE: 'Not worse beyond chance',
};

interface EvidenceProps {
  readonly deployment: DetailFragment;
}

export function Evidence({ deployment }: EvidenceProps): ReactElement | null {
  const { comparison, config } = deployment;
  if (!comparison) return null;
  const { evidence } = comparison;
  const { interval, pairs, effectivePairs, minSamples, plannedChecks, alpha, drift, outlook } = evidence;
  return (
    <section className="panel" aria-labelledby="evidence">
      <h2 id="evidence">Evidence</h2>
      <p>
        <b>{VERDICTS[evidence.verdict]}.</b> <span className="quiet">{evidence.summary}</span>
      </p>
      <IntervalBar interval={interval} verdict={evidence.verdict} />
      <dl className="figures">
        <Figure label="Estimate per check" value={percentChange(interval?.mean, 4)} />
        <Figure label="From" value={percentChange(interval?.low, 4)} />
        <Figure label="To" value={percentChange(interval?.high, 4)} />
        <Figure label="Pairs" value={`${count(pairs)} of ${count(plannedChecks)}`} />
        {effectivePairs === null || effectivePairs === undefined ? null : (
          <Figure label="Effective pairs" value={decimal(effectivePairs, 0)} />
        )}
        <Figure label="Effective pairs needed" value={count(minSamples)} />
        <Figure label="Error rate" value={percentOfLimit(alpha)} />
        {drift ? (
          <Figure
            label="Drift detector"
            value={`${decimal(drift.value, 2)} of ${decimal(drift.threshold, 2)}`}
          />
        ) : null}
      </dl>
      {outlook && deployment.endedAt === null ? (
        <Outlook outlook={outlook} checkSeconds={config.checkIntervalSeconds} />
      ) : null}
    </section>
  );
}

type OutlookData = NonNullable<NonNullable<DetailFragment['comparison']>['evidence']['outlook']>;

interface OutlookProps {
  readonly outlook: OutlookData;
  readonly checkSeconds: number;
}

function Outlook({ outlook, checkSeconds }: OutlookProps): ReactElement {
  const { leastDetectablePerDay, probabilityBetter, usdAtRisk, advice } = outlook;
  return (
    <section className="outlook" aria-labelledby="outlook">
      <h3 id="outlook">Until the deadline</h3>
      <p>
        <b>{outlookText(outlook, checkSeconds)}</b>
      </p>
      <dl className="figures">
        <Figure label="Probability better" value={percent(probabilityBetter, 0)} />
        <Figure label="Smallest detectable difference per day" value={percent(leastDetectablePerDay, 2)} />
        <Figure label="Loss at risk until the deadline (95 %)" value={usd(usdAtRisk)} />
      </dl>
      {advice.map((each) => (
        <p key={each} className="quiet">
          {each}.
        </p>
      ))}
    </section>
  );
}

/** How many more checks the test needs, and whether it has them. */
function outlookText(
  { checksToDecide, decidesBeforeDeadline, probabilityBetter }: OutlookData,
  checkSeconds: number,
) {
  if (checksToDecide === 0) return 'The test has decided.';
  if (typeof checksToDecide === 'number') {
    const when = decidesBeforeDeadline ? 'before the deadline' : 'after the deadline';
    const checks = `${count(checksToDecide)} more ${checksToDecide === 1 ? 'check' : 'checks'}`;
    return `${checks} to decide (${duration(checksToDecide * checkSeconds)}, ${when}), if the difference stays the same.`;
  }
  if (typeof probabilityBetter !== 'number') return 'Too few pairs to say when the test decides.';
  return 'The test will not decide if the difference stays the same.';
}

export function Figure({ label, value }: { readonly label: string; readonly value: string }): ReactElement {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}
