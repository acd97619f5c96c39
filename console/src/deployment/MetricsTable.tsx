/** Both sides' figures beside each other. */
import type { ReactElement } from 'react';
import type { DetailFragment, SideFragment } from '../api/generated/graphql';
import { count, decimal, duration, percent, percentChange, usd, usdChange } from '../format';
import { returnOf } from '../overview/risk';
import { Instant } from '../ui/Instant';

const ROWS: readonly {
  readonly label: string;
  readonly show: (side: SideFragment) => string;
  readonly ratio?: 'pnlRatio' | 'drawdownRatio' | 'sharpeRatio' | 'winRateRatio';
}[] = [
  { label: 'Return on capital', show: (side) => percentChange(returnOf(side), 3), ratio: 'pnlRatio' },
  { label: 'Net PnL', show: ({ metrics }) => usdChange(metrics.netPnlUsd) },
  { label: 'Of it unrealised', show: ({ metrics }) => usdChange(metrics.unrealizedPnlUsd) },
  { label: 'PnL before costs', show: ({ metrics }) => usdChange(metrics.totalPnlUsd) },
  { label: 'Gas', show: ({ metrics }) => usd(metrics.totalGasUsd) },
  { label: 'Largest drawdown', show: ({ metrics }) => percent(metrics.maxDrawdown), ratio: 'drawdownRatio' },
  { label: 'Sharpe ratio', show: ({ metrics }) => decimal(metrics.sharpeRatio, 3), ratio: 'sharpeRatio' },
  { label: 'Win rate', show: ({ metrics }) => percent(metrics.winRate, 1), ratio: 'winRateRatio' },
  { label: 'Trades', show: ({ tradeCount }) => count(tradeCount) },
  { label: 'Errors', show: ({ errorCount, errorRate }) => `${count(errorCount)} (${percent(errorRate, 1)})` },
  { label: 'Average trade', show: ({ metrics }) => usd(metrics.avgTradeSizeUsd) },
  { label: 'Capital', show: ({ capitalAllocatedUsd }) => usd(capitalAllocatedUsd) },
  { label: 'Session', show: ({ session }) => session ?? '–' },
  { label: 'Measured for', show: ({ durationSeconds }) => duration(durationSeconds) },
];

export function MetricsTable({ deployment }: { readonly deployment: DetailFragment }): ReactElement | null {
  const { canaryMetrics: canary, stableMetrics: stable, comparison } = deployment;
  if (!canary || !stable) return null;
  const reported = ({ reportedAt }: SideFragment) =>
    reportedAt ? <Instant at={reportedAt} short /> : 'never';
  return (
    <section className="panel" aria-labelledby="metrics">
      <h2 id="metrics">Metrics</h2>
      <div className="table-frame">
        <table className="table-plain metrics">
          <thead>
            <tr>
              <th scope="col">Figure</th>
              <th scope="col" className="number canary-name">
                Canary {canary.versionId}
              </th>
              <th scope="col" className="number stable-name">
                Stable {stable.versionId}
              </th>
              <th scope="col" className="number">
                Ratio
              </th>
            </tr>
          </thead>
          <tbody>
            {ROWS.map(({ label, show, ratio }) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td className="number">{show(canary)}</td>
                <td className="number">{show(stable)}</td>
                <td className="number">{ratio ? decimal(comparison?.[ratio], 3) : ''}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">Last report</th>
              <td className="number">{reported(canary)}</td>
              <td className="number">{reported(stable)}</td>
              <td />
            </tr>
          </tbody>
        </table>
      </div>
    </section>
  );
}
