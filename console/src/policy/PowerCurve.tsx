/** How often a canary of a certain worth is promoted, and rolled back: the power of the policy. */
import type { ReactElement } from 'react';
import { percent } from '../format';
import type { PowerPoint } from './useSimulation';

const WIDTH = 360;
const HEIGHT = 170;
const EDGE = { left: 38, right: 10, top: 10, bottom: 24 };

const x = (difference: number) => EDGE.left + ((difference + 1) / 2) * (WIDTH - EDGE.left - EDGE.right);
const y = (share: number) => EDGE.top + (1 - share) * (HEIGHT - EDGE.top - EDGE.bottom);

export function PowerCurve({ points }: { readonly points: readonly PowerPoint[] }): ReactElement | null {
  if (points.length < 3) return null;
  const path = (share: (point: PowerPoint) => number) =>
    points
      .map((point, index) => `${index === 0 ? 'M' : 'L'}${x(point.difference)} ${y(share(point))}`)
      .join('');
  return (
    <figure className="power">
      <figcaption>
        Power: share <span className="power-promoted">promoted (line)</span> and{' '}
        <span className="power-back">rolled back (dashes)</span> by how much better the canary is
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label="Power curve; its numbers are in the table below"
      >
        {[0, 0.25, 0.5, 0.75, 1].map((share) => (
          <g key={share}>
            <line className="grid-line" x1={EDGE.left} x2={WIDTH - EDGE.right} y1={y(share)} y2={y(share)} />
            <text className="axis-text" x={EDGE.left - 6} y={y(share) + 3} textAnchor="end">
              {percent(share, 0)}
            </text>
          </g>
        ))}
        {[-1, -0.5, 0, 0.5, 1].map((difference) => (
          <text key={difference} className="axis-text" x={x(difference)} y={HEIGHT - 7} textAnchor="middle">
            {difference > 0 ? `+${difference}` : difference}
          </text>
        ))}
        <line className="interval-zero" x1={x(0)} x2={x(0)} y1={EDGE.top} y2={HEIGHT - EDGE.bottom} />
        <path className="power-line power-line-promoted" d={path(({ promoted }) => promoted)} />
        <path className="power-line power-line-back" d={path(({ rolledBack }) => rolledBack)} />
      </svg>
      <details>
        <summary>Numbers</summary>
        <table className="table-plain">
          <thead>
            <tr>
              <th scope="col">Better by, deviations</th>
              <th scope="col" className="number">
                Promoted
              </th>
              <th scope="col" className="number">
                Rolled back
              </th>
            </tr>
          </thead>
          <tbody>
            {points.map(({ difference, promoted, rolledBack }) => (
              <tr key={difference}>
                <th scope="row">{difference}</th>
                <td className="number">{percent(promoted, 1)}</td>
                <td className="number">{percent(rolledBack, 1)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
