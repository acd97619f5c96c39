/** Every gate of the comparison with its value, its threshold and its sentence. */
import type { ReactElement } from 'react';
import type { DetailFragment, GateName } from '../api/generated/graphql';
import { decimal } from '../format';
import { decisionLabel, GateSign, gateLabel } from '../ui/Status';

const GATES: Record<GateName, string> = {
  FINITE: 'Finite metrics',
  TRADES: 'Trades',
  ERROR_RATE: 'Error rate',
  POSITIVE_PNL: 'Positive PnL',
  PNL: 'PnL',
  DRAWDOWN: 'Drawdown',
  SHARPE: 'Sharpe ratio',
  WIN_RATE: 'Win rate',
  EVIDENCE: 'Evidence',
};

export function Gates({ comparison }: Pick<DetailFragment, 'comparison'>): ReactElement {
  return (
    <section className="panel" aria-labelledby="gates">
      <h2 id="gates">Gates</h2>
      {comparison && comparison.gates.length > 0 ? (
        <table className="gate-table">
          <thead>
            <tr>
              <th scope="col">Gate</th>
              <th scope="col" className="number">
                Measured
              </th>
              <th scope="col" className="number">
                Threshold
              </th>
            </tr>
          </thead>
          <tbody>
            {comparison.gates.map(({ name, outcome, measured, threshold, reason, severity }) => (
              <tr key={name} className={`gate-row-${outcome.toLowerCase()}`}>
                <th scope="row">
                  <GateSign outcome={outcome} /> {GATES[name]}
                  <span className="hidden">: {gateLabel(outcome)}</span>
                  <span className="gate-reason">
                    {reason}
                    {outcome === 'FAILED' ? ` → ${decisionLabel(severity).toLowerCase()}` : ''}
                  </span>
                </th>
                <td className="number">{decimal(measured)}</td>
                <td className="number">{decimal(threshold)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p className="quiet">No side can be compared yet: both must have reported.</p>
      )}
    </section>
  );
}
