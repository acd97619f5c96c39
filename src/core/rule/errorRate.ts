/** How often attempts fail, for the error gate and its guardrail: errors count where nothing was traded, too. */
import type { SideMetrics } from '../metrics/sideMetrics.ts';
import { type Decimal, decimal } from '../values/decimal.ts';

/**
 * Errors over trades from `minTrades` trades on; below that errors over attempts (trades and errors), from `minTrades`
 * attempts on. Null where there are fewer attempts, or none.
 */
export function attemptErrorRate({ trades, errors }: SideMetrics, minTrades: number): Decimal | null {
  const attempts = trades + errors;
  if (attempts === 0 || attempts < minTrades) return null;
  return decimal(errors).div(trades > 0 && trades >= minTrades ? trades : attempts);
}
