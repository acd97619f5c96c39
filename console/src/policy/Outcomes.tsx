/** What a policy does with canaries of known worth: shares as bars, figures beside them. */
import type { ReactElement } from 'react';
import type { CanaryKind, SimulationFieldsFragment } from '../api/generated/graphql';
import { count, duration, percent, words } from '../format';

const KINDS: readonly CanaryKind[] = ['BETTER', 'IDENTICAL', 'WORSE'];

const SHARES = [
  { name: 'promoted', label: 'promoted', sign: '✓' },
  { name: 'review', label: 'to a person', sign: '⚑' },
  { name: 'rolledBack', label: 'rolled back', sign: '↩' },
] as const;

/** A policy that rolls back more identical canaries than this is warned of. */
const TOLERATED = 0.2;

export function Outcomes({ simulation }: { readonly simulation: SimulationFieldsFragment }): ReactElement {
  const { assumptions, canaries, completedRuns, plannedChecks } = simulation;
  const identical = canaries.find(({ kind }) => kind === 'IDENTICAL');
  const wrong = identical?.rolledBack.value ?? 0;
  return (
    <div className="outcomes">
      {simulation.complete && wrong > TOLERATED ? (
        <p className="warning" role="status">
          <span aria-hidden="true">⚠</span> This policy rolls back {percent(wrong, 0)} of canaries that are
          identical to the stable version: loosen a limit, observe for longer, or let the evidence decide.
        </p>
      ) : null}
      {KINDS.map((kind) => {
        const canary = canaries.find((each) => each.kind === kind);
        if (!canary) return null;
        return (
          <section key={kind} aria-label={`${words(kind)} canaries`}>
            <h3>
              {words(kind)}{' '}
              <span className="quiet">
                {kind === 'IDENTICAL' ? '' : `by ${assumptions.difference} standard deviations per check`}
              </span>
            </h3>
            <div className="share-bar" aria-hidden="true">
              {SHARES.map(({ name, sign }) => (
                <span
                  key={name}
                  className={`share share-${name}`}
                  style={{ inlineSize: `${canary[name].value * 100}%` }}
                >
                  {canary[name].value >= 0.08 ? sign : ''}
                </span>
              ))}
            </div>
            <dl className="figures">
              {SHARES.map(({ name, label, sign }) => (
                <div key={name}>
                  <dt>
                    {sign} {label}
                  </dt>
                  <dd>
                    {percent(canary[name].value, 1)}{' '}
                    <span className="quiet">± {percent(canary[name].standardError, 1)}</span>
                  </dd>
                </div>
              ))}
              <div>
                <dt>time to decide, median</dt>
                <dd>{duration(canary.medianSecondsToDecide)}</dd>
              </div>
              {canary.lossBeforeRollback ? (
                <div>
                  <dt>lost until rollback</dt>
                  <dd>{percent(canary.lossBeforeRollback.value)}</dd>
                </div>
              ) : null}
              {canary.lossOfWaiting ? (
                <div>
                  <dt>lost by waiting</dt>
                  <dd>{percent(canary.lossOfWaiting.value)}</dd>
                </div>
              ) : null}
            </dl>
          </section>
        );
      })}
      <p className="quiet">
        {count(completedRuns)} of {count(assumptions.runs)} trials of each kind, {count(plannedChecks)} checks
        planned, a return of {percent(assumptions.volatility, 3)} between checks.
      </p>
    </div>
  );
}
