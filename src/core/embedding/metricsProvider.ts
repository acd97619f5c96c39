import type { FetchResult } from '../metrics/fetched.ts';
import { type GivenReport, readReport } from '../metrics/report.ts';
import type { Side } from '../values/side.ts';
import { describeViolations } from '../values/violation.ts';
import type { Clock } from './clock.ts';

/** The side whose metrics are requested. */
export interface MetricsRequest {
  readonly versionId: string;
  readonly side: Side;
  readonly strategyId: string;
  readonly chain: string;
  /** When the deployment started, epoch milliseconds: figures are running totals from here on. */
  readonly since: number;
  /** Aborts when the result is no longer awaited. */
  readonly signal: AbortSignal;
}

/** Returns what the side's bot would otherwise report. It may throw, reject, hang or return anything. */
export type FetchMetrics = (request: MetricsRequest) => GivenReport | Promise<GivenReport>;

export interface Deadline {
  readonly clock: Clock;
  readonly milliseconds: number;
  /** Aborts when the whole fetch is cancelled. */
  readonly signal: AbortSignal;
}

/** Why a fetch ends that is not awaited any longer. One error for all: to make one each time is costly. */
const ENDED = new DOMException('The fetch has ended', 'AbortError');

/** Fetches the metrics of a side. Never rejects; after the time limit the result is not awaited. */
export async function fetchMetrics(
  ask: FetchMetrics,
  target: Omit<MetricsRequest, 'signal'>,
  { clock, milliseconds, signal: parent }: Deadline,
): Promise<FetchResult> {
  const controller = new AbortController();
  let giveUp = (_message: string) => {};
  const gaveUp = new Promise<FetchResult>((resolve) => {
    giveUp = (message) => {
      resolve({ ok: false, message });
      controller.abort(ENDED);
    };
  });
  const callOff = clock.wakeIn(milliseconds, () =>
    giveUp(`the metrics provider did not answer within ${milliseconds / 1000} s`),
  );
  const calledOff = () => giveUp('the fetch was called off');
  parent.addEventListener('abort', calledOff);
  try {
    return await Promise.race([answer(ask, { ...target, signal: controller.signal }), gaveUp]);
  } finally {
    callOff();
    parent.removeEventListener('abort', calledOff);
    controller.abort(ENDED);
  }
}

async function answer(ask: FetchMetrics, request: MetricsRequest): Promise<FetchResult> {
  try {
    const read = readReport(await ask(request));
    return read.ok
      ? { ok: true, report: read.value }
      : { ok: false, message: `the metrics provider: ${describeViolations(read.violations)}` };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return { ok: false, message: `the metrics provider failed: ${words}` };
  }
}
