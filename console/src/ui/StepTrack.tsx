/** The steps of the ramp: how far it is, and what each step gives the canary. */
import type { ReactElement } from 'react';
import type { CardFragment } from '../api/generated/graphql';

type StepTrackProps = {
  readonly deployment: Pick<CardFragment, 'status' | 'step' | 'endedAt' | 'observationRemainingSeconds'> & {
    readonly config: Pick<CardFragment['config'], 'steps'>;
  };
  /** Serin's time, ms. */
  readonly now: number;
  readonly labels?: boolean;
};

export function StepTrack({ deployment, now, labels = false }: StepTrackProps): ReactElement {
  const { status, step, endedAt, observationRemainingSeconds, config } = deployment;
  const { steps } = config;
  const total = steps.reduce((sum, { minutes }) => sum + minutes, 0);
  const done = (index: number): number => {
    if (status === 'PENDING') return 0;
    if (status === 'PROMOTED' || status === 'OBSERVATION_COMPLETE') return index < step.number ? 1 : 0;
    if (index !== step.number - 1) return index < step.number - 1 ? 1 : 0;
    if (step.startedAt === null || step.endsAt === null) return 0;
    const [from, to] = [Date.parse(step.startedAt), Date.parse(step.endsAt)];
    // Where the clock stands, so does the bar.
    const at = status === 'PAUSED' ? to - leftOfStepMs() : endedAt === null ? now : Date.parse(endedAt);
    return Math.max(0, Math.min(1, (at - from) / (to - from || 1)));
  };
  /** What is left of the observation without the steps to come. */
  const leftOfStepMs = () =>
    steps
      .slice(step.number)
      .reduce((left, { minutes }) => left - minutes * 60_000, observationRemainingSeconds * 1000);
  const label = `Step ${step.number} of ${step.of}: ${Number(step.canaryPercent)} % of the capital`;
  return (
    <div className={`steps ${labels ? 'steps-labelled' : ''}`} role="img" aria-label={label} title={label}>
      {steps.map((each, index) => (
        <span
          // Steps of a ramp have no identity but their place.
          // biome-ignore lint/suspicious/noArrayIndexKey: the place is the identity
          key={index}
          className={`step ${index === step.number - 1 ? 'step-now' : ''}`}
          style={{ flexGrow: Math.max(0.12, each.minutes / (total || 1)) }}
        >
          <span className="step-done" style={{ inlineSize: `${done(index) * 100}%` }} />
          {labels ? (
            <span className="step-label" aria-hidden="true">
              {Number(each.canaryPercent)} % · {each.minutes} min
            </span>
          ) : null}
        </span>
      ))}
    </div>
  );
}
