/** Cells that tables of deployments share: the strategy with its link, both versions, both returns on capital. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { percentChange } from '../format';
import { returnOf } from './risk';

interface Named {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
}

export function StrategyCell({ id, strategyId, chain }: Named): ReactElement {
  return (
    <th scope="row">
      <Link href={`/deployments/${encodeURIComponent(id)}`} className="card-link">
        {strategyId}
      </Link>
      {chain === 'unknown' ? null : <span className="quiet"> {chain}</span>}
    </th>
  );
}

interface Versioned {
  readonly canaryVersionId: string;
  readonly stableVersionId: string;
}

export function VersionsCell({ canaryVersionId, stableVersionId }: Versioned): ReactElement {
  return (
    <td className="nowrap">
      <span className="canary-name">{canaryVersionId}</span> /{' '}
      <span className="stable-name">{stableVersionId}</span>
    </td>
  );
}

interface Measured {
  readonly canaryMetrics: Parameters<typeof returnOf>[0];
  readonly stableMetrics: Parameters<typeof returnOf>[0];
}

export function ReturnCells({ canaryMetrics, stableMetrics }: Measured): ReactElement {
  return (
    <>
      <td className="number canary-name">{percentChange(returnOf(canaryMetrics))}</td>
      <td className="number stable-name">{percentChange(returnOf(stableMetrics))}</td>
    </>
  );
}
