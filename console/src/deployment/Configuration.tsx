/** The policy of a deployment, setting by setting. */
import type { ReactElement } from 'react';
import type { DetailFragment } from '../api/generated/graphql';
import { duration, percentOfLimit, words } from '../format';

export function Configuration({ deployment }: { readonly deployment: DetailFragment }): ReactElement {
  const { config, createdBy } = deployment;
  const { promotionCriteria: criteria, evidence } = config;
  const yes = (value: boolean) => (value ? 'yes' : 'no');
  const rows: readonly (readonly [string, string])[] = [
    [
      'Ramp',
      config.steps
        .map(
          ({ canaryPercent, minutes, gate }) =>
            `${Number(canaryPercent)} % for ${minutes} min${gate === 'MANUAL' ? ', then by hand' : ''}`,
        )
        .join(' → '),
    ],
    ['Check every', duration(config.checkIntervalSeconds)],
    ['Automatic promotion', yes(config.autoPromote)],
    ['Automatic rollback', yes(config.autoRollback)],
    ['Promotes early', yes(config.earlyPromote)],
    ['Two people to promote', yes(config.requireApproval)],
    [
      'When inconclusive',
      `${words(config.onInconclusive).toLowerCase()}${config.onInconclusive === 'EXTEND' ? `, ${config.maxExtensions} times` : ''}`,
    ],
    [
      'Evidence',
      `${evidence.mode.toLowerCase()}, error rate ${percentOfLimit(evidence.alpha)}, from ${evidence.minSamples} pairs`,
    ],
    [
      'Return',
      `at least ${Number(criteria.minPnlRatio)} of stable’s, ${criteria.pnlBasis === 'USD' ? 'in USD' : 'on capital'}${criteria.requirePositivePnl ? ', positive' : ''}`,
    ],
    [
      'Drawdown',
      `at most ${Number(criteria.maxDrawdownRatio)} of stable’s, or ${Number(criteria.drawdownFloor)}`,
    ],
    [
      'Sharpe ratio, win rate',
      `at least ${Number(criteria.minSharpeRatio)}, ${Number(criteria.minWinRateRatio)} of stable’s`,
    ],
    ['Trades', `at least ${criteria.minTrades}`],
    ['Errors', `at most ${Number(criteria.maxErrorRate)} of trades`],
    ['Metrics from', config.metricsProvider ?? 'reports'],
    ['Trading hours', hoursText(config.tradingHours)],
    ['In the timeline', yes(config.emitEvents)],
    ['Created by', createdBy],
  ];
  return (
    <details className="panel configuration">
      <summary>
        Configuration <code className="quiet">{config.hash.slice(0, 12)}</code>
      </summary>
      <table className="table-plain">
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

/** "Monday, Friday 09:30–16:00 America/New_York, closed on 2026-12-25". */
function hoursText(hours: DetailFragment['config']['tradingHours']): string {
  if (!hours) return 'always open';
  const sessions = hours.sessions.map(({ days, dates, open, close }) => {
    const on = days.length > 0 ? days.map((day) => words(day)) : dates;
    return `${on.join(', ')} ${open}–${close}`;
  });
  const closed = hours.closed.length > 0 ? `, closed on ${hours.closed.join(', ')}` : '';
  return `${sessions.join('; ')} ${hours.timeZone}${closed}`;
}
