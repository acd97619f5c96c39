/** Deployments as rows: more of them on one screen, every figure in its column. */
import type { ReactElement } from 'react';
import type { CardFragment } from '../api/generated/graphql';
import { IntervalBar } from '../charts/IntervalBar';
import { usd } from '../format';
import { ListTable } from '../ui/ListTable';
import { DecisionBadge, StatusBadge } from '../ui/Status';
import { StepTrack } from '../ui/StepTrack';
import { alertsOf, timeLeft } from './Card';
import { ReturnCells, StrategyCell, VersionsCell } from './cells';
import { canaryHeldUsd, outlookInShort } from './risk';

interface DeploymentTableProps {
  readonly cards: readonly CardFragment[];
  readonly now: number;
}

export function DeploymentTable({ cards, now }: DeploymentTableProps): ReactElement | null {
  if (cards.length === 0) return null;
  return (
    <ListTable
      label="Live deployments"
      heads={[
        'Strategy',
        'Versions',
        'Status',
        'Step',
        { name: 'Left', number: true },
        { name: 'Canary', number: true },
        { name: 'Stable', number: true },
        'Evidence',
        'Comparison',
        { name: 'At risk', number: true },
        'Attention',
      ]}
    >
      {cards.map((card) => (
        <tr key={card.id}>
          <StrategyCell {...card} />
          <VersionsCell {...card} />
          <td>
            <StatusBadge status={card.status} />
          </td>
          <td className="table-steps">
            <StepTrack deployment={card} now={now} />
          </td>
          <td className="number nowrap">{timeLeft(card, now)}</td>
          <ReturnCells {...card} />
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
    </ListTable>
  );
}
