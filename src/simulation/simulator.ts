/**
 * Simulates policies in a worker thread, so that the server keeps answering. The thread starts with the first job; the
 * number of jobs is bounded, so that callers cannot pile up work.
 */
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { z } from 'zod';
import { configCodec } from '../core/config/codec.ts';
import type { CanaryConfig } from '../core/config/config.ts';
import type { Assumptions } from '../core/policy/assumptions.ts';
import type { CanaryKind, PolicySimulation } from '../core/policy/simulation.ts';
import type { FromThread, ToThread } from './messages.ts';
import { startThread } from './thread.ts';

/** Maximum concurrent simulations per node. */
const MAX_JOBS = 8;
/** Maximum concurrent simulations of one caller. */
const MAX_JOBS_PER_CALLER = 2;

export interface SimulationJob {
  readonly config: CanaryConfig;
  readonly assumptions: Assumptions;
  readonly kinds: readonly CanaryKind[];
  /** The caller: each has at most two jobs, and callers have turns. */
  readonly caller: string;
  /** Runs first and does not count towards MAX_JOBS: short jobs that a request waits for. */
  readonly urgent?: boolean;
}

/** This node, or the caller, already runs as many simulations as it may. */
export class SimulatorBusy extends Error {}
/** A simulation exceeded its time limit. */
export class SimulationTooLong extends Error {}
/** The simulation thread has ended; the next job starts a new one. */
export class SimulatorGone extends Error {}

export interface Simulator {
  /**
   * Runs a job. Yields the newest intermediate report on demand, the complete one last. Ending the iteration early,
   * or the signal, aborts the job. Throws {@link SimulatorBusy}, {@link SimulationTooLong} and {@link SimulatorGone}.
   */
  run(job: SimulationJob, signal?: AbortSignal): AsyncGenerator<PolicySimulation, void>;
  stop(): Promise<void>;
}

interface Waiting {
  readonly urgent: boolean;
  readonly caller: string;
  post(message: FromThread): void;
}

export function createSimulator(log: Logger): Simulator {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let thread: Worker | null = null;

  function say(message: ToThread): void {
    thread ??= start();
    thread.postMessage(message);
  }

  function start(): Worker {
    const worker = startThread('./worker', import.meta.url);
    worker.unref();
    worker.on('message', (message: FromThread) => waiting.get(message.id)?.post(message));
    worker.on('error', (error) => log.error({ error }, 'the simulation thread failed'));
    worker.on('exit', () => {
      if (thread === worker) thread = null;
      const message = 'The simulation thread ended: try again';
      for (const [id, { post }] of waiting) post({ type: 'FAILED', id, reason: 'ENDED', message });
    });
    return worker;
  }

  return {
    async *run({ config, assumptions, kinds, caller, urgent = false }, signal) {
      const running = [...waiting.values()].filter((each) => !each.urgent);
      const own = running.filter((each) => each.caller === caller).length;
      if (!urgent && own >= MAX_JOBS_PER_CALLER) {
        throw new SimulatorBusy(
          `At most ${MAX_JOBS_PER_CALLER} simulations of one caller at a time: try again when one has finished`,
        );
      }
      if (!urgent && running.length >= MAX_JOBS) {
        throw new SimulatorBusy(
          `This node already runs ${MAX_JOBS} simulations: try again when one has finished`,
        );
      }
      lastId += 1;
      const id = lastId;
      let newest: FromThread | null = null;
      let wake = () => {};
      waiting.set(id, {
        urgent,
        caller,
        post(message) {
          newest = message;
          wake();
        },
      });
      const leave = () => wake();
      signal?.addEventListener('abort', leave);
      try {
        say({ type: 'START', id, urgent, caller, config: z.encode(configCodec, config), assumptions, kinds });
        while (!signal?.aborted) {
          const message = take();
          if (!message) {
            await new Promise<void>((woken) => {
              wake = woken;
            });
            continue;
          }
          if (message.type === 'FAILED') throw failure(message);
          yield message.report;
          if (message.done) return;
        }
      } finally {
        signal?.removeEventListener('abort', leave);
        waiting.delete(id);
        thread?.postMessage({ type: 'CANCEL', id } satisfies ToThread);
      }

      function take(): FromThread | null {
        const taken = newest;
        newest = null;
        return taken;
      }
    },
    async stop() {
      await thread?.terminate();
    },
  };
}

function failure({ reason, message }: Extract<FromThread, { type: 'FAILED' }>): Error {
  if (reason === 'TOO_LONG') return new SimulationTooLong(`The simulation took too long: ${message}`);
  return reason === 'ENDED' ? new SimulatorGone(message) : new Error(`the simulation failed: ${message}`);
}

/** The complete report of a job. Throws {@link SimulationTooLong} if the job was aborted before it was complete. */
export async function finished(reports: AsyncGenerator<PolicySimulation>): Promise<PolicySimulation> {
  let last: PolicySimulation | null = null;
  for await (const report of reports) last = report;
  if (!last || last.completedRuns < last.assumptions.runs) {
    throw new SimulationTooLong(
      `The simulation took too long: only ${last?.completedRuns ?? 0} runs were done in time. ` +
        'Ask for fewer, or follow it with the subscription `policySimulation`',
    );
  }
  return last;
}
