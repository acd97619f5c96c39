/** What a metrics provider is: a function that fetches the metrics of one side. */
import type { FetchResult } from '../core/metrics/fetched.ts';
import type { WallInstant } from '../core/values/instant.ts';
import type { Side } from '../core/values/side.ts';

/** The side of a deployment whose metrics are requested. */
export interface MetricsTarget {
  readonly strategyId: string;
  readonly versionId: string;
  readonly chain: string;
  readonly side: Side;
  /** When the deployment started. */
  readonly since: WallInstant;
}

/**
 * Fetches the metrics of a side. Never rejects. Ends within the provider's timeout and retries, or when `signal`
 * aborts.
 */
export type FetchMetrics = (target: MetricsTarget, signal: AbortSignal) => Promise<FetchResult>;

export interface MetricsProvider {
  readonly name: string;
  /** The longest that one fetch takes, real milliseconds. */
  readonly longestMs: number;
  readonly fetch: FetchMetrics;
}
