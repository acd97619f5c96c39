import type { FetchResult } from '../core/metrics/fetched.ts';
import type { Side } from '../core/values/side.ts';

/** The side of a deployment whose metrics are wanted. */
export interface MetricsTarget {
  readonly strategyId: string;
  readonly versionId: string;
  readonly chain: string;
  readonly side: Side;
  /** When the deployment started, epoch milliseconds. */
  readonly since: number;
}

/**
 * Asks for the metrics of a side. It never rejects, and it ends within the provider's timeout and retries, or as soon as
 * `signal` aborts.
 */
export type FetchMetrics = (target: MetricsTarget, signal: AbortSignal) => Promise<FetchResult>;

export interface MetricsProvider {
  readonly name: string;
  readonly fetch: FetchMetrics;
}
