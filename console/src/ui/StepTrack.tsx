/** The steps of the ramp: how far it is, and what each step gives the canary. */
import type { ReactElement } from 'react';
import type { CardFragment } from '../api/generated/graphql';

type StepTrackProps = Pick<CardFragment, 'status' | 'step'> & {
  readonly steps: CardFragment['config']['steps'];
  /** Serin's time, ms. */
  readonly now: number;
  readonly labels?: boolean;
};

export function StepTrack({ status, step, steps, now, labels = false }: StepTrackProps): ReactElement {
  const total = steps.reduce((sum, { minutes }) => sum + minutes, 0);
  const done = (index: number): number => {
    if (status === 'PENDING') return 0;
    if (status === 'PROMOTED' || status === 'OBSERVATION_COMPLETE') return index < step.number ? 1 : 0;
    if (index !== step.number - 1) return index < step.number - 1 ? 1 : 0;
    if (step.startedAt === null || step.endsAt === null) return 0;
    const [from, to] = [Date.parse(step.startedAt), Date.parse(step.endsAt)];
    return Math.max(0, Math.min(1, (now - from) / (to - from || 1)));
  };
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
