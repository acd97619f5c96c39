/** Absolute limits as how much of each is used. */
import type { ReactElement } from 'react';
import type { DetailFragment } from '../api/generated/graphql';
import { duration, percentOfLimit, usd } from '../format';
import { type GuardrailDistance, guardrailDistances } from '../overview/risk';

const GUARDRAILS: Record<
  GuardrailDistance['name'],
  { readonly label: string; readonly show: (value: number) => string }
> = {
  maxLossUsd: { label: 'Loss', show: usd },
  maxLossPercent: { label: 'Loss of its capital', show: (value) => percentOfLimit(value / 100) },
  maxDrawdown: { label: 'Drawdown', show: percentOfLimit },
  maxErrorRate: { label: 'Error rate', show: percentOfLimit },
  maxStaleSeconds: { label: 'Silence of a side', show: duration },
};

interface GuardrailListProps {
  readonly deployment: DetailFragment;
  readonly now: number;
}

export function GuardrailList({ deployment, now }: GuardrailListProps): ReactElement {
  const distances = guardrailDistances(deployment, now);
  return (
    <section className="panel" aria-labelledby="guardrails">
      <h2 id="guardrails">Guardrails</h2>
      {distances.length === 0 ? <p className="quiet">No limit is set.</p> : null}
      <ul className="guardrails">
        {distances.map(({ name, measured, limit, used }) => {
          const { label, show } = GUARDRAILS[name];
          const breaches = deployment.config.guardrails.breaches[name];
          const text = `${measured === null ? 'not measured' : show(measured)} of at most ${show(limit)}`;
          return (
            <li key={name}>
              <span>{label}</span>
              <span className="number">
                {text}
                {breaches > 1 ? `, ${breaches} times in a row` : ''}
              </span>
              <meter
                className="guardrail-bar"
                aria-label={`${label}: ${text}`}
                min={0}
                max={1}
                low={0.7}
                high={0.9}
                optimum={0}
                value={Math.min(1, used)}
              />
            </li>
          );
        })}
      </ul>
    </section>
  );
}
