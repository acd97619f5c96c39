/** One live canary at a glance. */
import { memo, type ReactElement } from 'react';
import { Link } from 'wouter';
import type { CardFragment } from '../api/generated/graphql';
import { IntervalBar } from '../charts/IntervalBar';
import { Sparkline } from '../charts/Sparkline';
import { duration, percentChange, usd, usdShort } from '../format';
import { Sentence } from '../ui/Sentence';
import { DecisionBadge, GateSign, gateLabel, StatusBadge } from '../ui/Status';
import { StepTrack } from '../ui/StepTrack';
import type { Curves } from './curveStore';
import {
  canaryHeldUsd,
  guardrailDistances,
  outlookInShort,
  returnOf,
  silenceSeconds,
  unansweredSeconds,
  waitsForPerson,
} from './risk';

interface CardProps {
  readonly card: CardFragment;
  readonly curves: Curves | undefined;
  /** Serin's time, ms, in steps of some seconds: a card is drawn anew when something changed. */
  readonly now: number;
}

const NO_CURVES: Curves = { canary: [], stable: [] };

export const Card = memo(function Card({ card, curves, now }: CardProps): ReactElement {
  const { comparison, status } = card;
  const waits = waitsForPerson(card);
  const canary = returnOf(card.canaryMetrics);
  const stable = returnOf(card.stableMetrics);
  const outlook = outlookInShort(card);
  const { canary: canaryCurve, stable: stableCurve } = curves ?? NO_CURVES;
  return (
    <article className={`card ${waits ? 'card-waits' : ''} card-${status.toLowerCase()}`}>
      <header className="card-head">
        <h3>
          <Link href={`/deployments/${encodeURIComponent(card.id)}`} className="card-link">
            {card.strategyId}
          </Link>
        </h3>
        <StatusBadge status={status} />
      </header>
      <p className="card-where">
        <span className="card-versions">
          <span className="canary-name">{card.canaryVersionId}</span> vs{' '}
          <span className="stable-name">{card.stableVersionId}</span>
          {card.chain === 'unknown' ? null : <> · {card.chain}</>}
        </span>
        <span className="card-left">{timeLeft(card, now)}</span>
      </p>
      <StepTrack deployment={card} now={now} />
      <Sparkline canary={canaryCurve} stable={stableCurve} />
      <dl className="card-returns">
        <div className="canary-figure">
          <dt>
            <span className="legend-line" aria-hidden="true" />
            <span className="hidden">Canary</span>
          </dt>
          <dd>{percentChange(canary)}</dd>
        </div>
        <div className="stable-figure">
          <dt>
            <span className="legend-line legend-dashed" aria-hidden="true" />
            <span className="hidden">Stable</span>
          </dt>
          <dd>{percentChange(stable)}</dd>
        </div>
        <div>
          <dt>At risk</dt>
          <dd title={usd(canaryHeldUsd(card))}>{usdShort(canaryHeldUsd(card))}</dd>
        </div>
      </dl>
      <div className="card-evidence">
        <IntervalBar
          interval={comparison?.evidence.interval ?? null}
          verdict={comparison?.evidence.verdict ?? 'OPEN'}
        />
        {outlook === null ? null : (
          <span
            className="card-outlook"
            title="Checks that the test still needs if the difference stays the same"
          >
            {outlook}
          </span>
        )}
      </div>
      <p className="card-verdict">
        {comparison && comparison.gates.length > 0 ? (
          <span className="gates" role="img" aria-label={gatesInWords(comparison.gates)}>
            {comparison.gates.map((gate) => (
              <span key={gate.name} title={gate.reason}>
                <GateSign outcome={gate.outcome} />
              </span>
            ))}
          </span>
        ) : null}
        {comparison ? <DecisionBadge decision={comparison.decision} /> : null}
        <span className="card-reason">
          <Sentence text={card.headline} />
        </span>
      </p>
      <Alerts card={card} now={now} />
    </article>
  );
});

function gatesInWords(gates: NonNullable<CardFragment['comparison']>['gates']): string {
  return `Gates: ${gates.map(({ name, outcome }) => `${name.toLowerCase().replace('_', ' ')} ${gateLabel(outcome)}`).join(', ')}`;
}

export function timeLeft(
  { status, observationDeadline, observationRemainingSeconds }: CardFragment,
  now: number,
): string {
  if (status === 'PENDING') return 'not deployed';
  if (status === 'OBSERVATION_COMPLETE') return 'over';
  if (status === 'PAUSED') return `${duration(observationRemainingSeconds)} left`;
  if (status !== 'RUNNING' || observationDeadline === null) return '';
  return `${duration((Date.parse(observationDeadline) - now) / 1000)} left`;
}

/** What needs attention and is not the decision: unanswered capital, silence, a limit that is near. */
function Alerts({ card, now }: { readonly card: CardFragment; readonly now: number }): ReactElement | null {
  const alerts = alertsOf(card, now);
  if (alerts.length === 0) return null;
  return (
    <ul className="card-alerts">
      {alerts.map((alert) => (
        <li key={alert}>
          <span aria-hidden="true">⚠</span> {alert}
        </li>
      ))}
    </ul>
  );
}

const NAMES = {
  maxLossUsd: 'loss',
  maxLossPercent: 'loss',
  maxDrawdown: 'drawdown',
  maxErrorRate: 'error rate',
  maxStaleSeconds: 'silence',
} as const;

export function alertsOf(card: CardFragment, now: number): string[] {
  const alerts: string[] = [];
  const unanswered = unansweredSeconds(card);
  if (unanswered > 2 * card.config.checkIntervalSeconds) {
    alerts.push(`Capital request unacknowledged for ${duration(unanswered)}`);
  }
  if (card.status === 'RUNNING' && card.startedAt !== null) {
    const quiet = 3 * card.config.checkIntervalSeconds;
    const startedAt = card.startedAt;
    const silent = (
      [
        ['the canary', card.canaryMetrics],
        ['stable', card.stableMetrics],
      ] as const
    )
      .map(([name, side]) => ({
        name,
        seconds: silenceSeconds(card.config, side?.reportedAt ?? startedAt, now),
      }))
      .filter(({ seconds }) => seconds > quiet);
    const name = silent.length === 2 ? 'either side' : silent[0]?.name;
    if (name)
      alerts.push(
        `No report from ${name} for ${duration(Math.max(...silent.map(({ seconds }) => seconds)))}`,
      );
  }
  for (const { name, used } of guardrailDistances(card, now)) {
    if (used >= 0.7 && name !== 'maxStaleSeconds')
      alerts.push(`${Math.round(used * 100)} % of the ${NAMES[name]} limit used`);
  }
  return alerts;
}
