/** Both sides' return in a card: the canary's line is solid, the stable side's is dashed. */
import { memo, type ReactElement, useMemo } from 'react';
import { HEIGHT, sparkline, WIDTH } from './sparkline';

interface SparklineProps {
  readonly canary: readonly (number | null)[];
  readonly stable: readonly (number | null)[];
}

export const Sparkline = memo(function Sparkline({ canary, stable }: SparklineProps): ReactElement | null {
  const shape = useMemo(() => sparkline(canary, stable), [canary, stable]);
  if (!shape) return null;
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <line className="sparkline-zero" x1="0" x2={WIDTH} y1={shape.zero} y2={shape.zero} />
      <path className="line-stable" d={shape.stable} />
      <path className="line-canary" d={shape.canary} />
    </svg>
  );
});
