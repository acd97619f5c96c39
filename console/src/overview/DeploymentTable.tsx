/** Deployments as rows: more of them on one screen, every figure in its column. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import type { CardFragment } from '../api/generated/graphql';
import { IntervalBar } from '../charts/IntervalBar';
import { percentChange, usd } from '../format';
import { DecisionBadge, StatusBadge } from '../ui/Status';
import { StepTrack } from '../ui/StepTrack';
import { alertsOf, timeLeft } from './Card';
import { canaryHeldUsd, outlookInShort, returnOf } from './risk';

interface DeploymentTableProps {
  readonly cards: readonly CardFragment[];
  readonly now: number;
}

export function DeploymentTable({ cards, now }: DeploymentTableProps): ReactElement | null {
  if (cards.length === 0) return null;
  return (
    <section className="table-frame" aria-label="Live deployments">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Strategy</th>
            <th scope="col">Versions</th>
            <th scope="col">Status</th>
            <th scope="col">Step</th>
            <th scope="col" className="number">
              Left
            </th>
            <th scope="col" className="number">
              Canary
            </th>
            <th scope="col" className="number">
              Stable
            </th>
            <th scope="col">Evidence</th>
            <th scope="col">Comparison</th>
            <th scope="col" className="number">
              At risk
            </th>
            <th scope="col">Attention</th>
          </tr>
        </thead>
        <tbody>
          {cards.map((card) => (
            <tr key={card.id}>
              <th scope="row">
                <Link href={`/deployments/${encodeURIComponent(card.id)}`} className="card-link">
                  {card.strategyId}
                </Link>
                {card.chain === 'unknown' ? null : <span className="quiet"> {card.chain}</span>}
              </th>
              <td className="nowrap">
                <span className="canary-name">{card.canaryVersionId}</span> /{' '}
                <span className="stable-name">{card.stableVersionId}</span>
              </td>
              <td>
                <StatusBadge status={card.status} />
              </td>
              <td className="table-steps">
                <StepTrack status={card.status} step={card.step} steps={card.config.steps} now={now} />
              </td>
              <td className="number nowrap">{timeLeft(card, now)}</td>
              <td className="number canary-name">{percentChange(returnOf(card.canaryMetrics))}</td>
              <td className="number stable-name">{percentChange(returnOf(card.stableMetrics))}</td>
              <td className="table-evidence">
                <IntervalBar
                  interval={card.comparison?.evidence.interval ?? null}
                  verdict={card.comparison?.evidence.verdict ?? 'OPEN'}
                />
                <span className="card-outlook">{outlookInShort(card)}</span>
              </td>
              <td>{card.comparison ? <DecisionBadge decision={card.comparison.decision} /> : null}</td>
              <td className="number">{usd(canaryHeldUsd(card))}</td>
              <td className="table-alerts">{alertsOf(card, now).join(' · ')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
