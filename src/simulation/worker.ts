/**
 * The simulation thread. Jobs run in short time slices, urgent ones first and then by turns of their callers, so that a long
 * simulation never delays a short one. Every job sends intermediate reports.
 */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { configCodec } from '../core/config/codec.ts';
import { createSimulation, type Simulation } from '../core/policy/simulation.ts';
import type { FromThread, StartJob, ToThread } from './messages.ts';

const SLICE_MS = 20;
const REPORT_MS = 250;
/** CPU time limit of a job: a bound on checks alone does not cover every policy. */
const LIMIT_MS = 120_000;

class TooLong extends Error {}

interface Job {
  readonly id: number;
  readonly urgent: boolean;
  readonly caller: string;
  readonly simulation: Simulation;
  spentMs: number;
  reportedAt: number;
}

if (!parentPort) throw new Error('the simulation thread must be started as one');
const port = parentPort;
const say = (message: FromThread) => port.postMessage(message);
let jobs: Job[] = [];
let working = false;

port.on('message', (message: ToThread) => {
  if (message.type === 'CANCEL') {
    jobs = jobs.filter(({ id }) => id !== message.id);
    return;
  }
  jobs.push(open(message));
  void work();
});

function open({ id, urgent, caller, config, assumptions, kinds }: StartJob): Job {
  const simulation = createSimulation(configCodec.parse(config), assumptions, kinds);
  return { id, urgent, caller, simulation, spentMs: 0, reportedAt: performance.now() };
}

async function work(): Promise<void> {
  if (working) return;
  working = true;
  for (let job = take(); job; job = take()) {
    try {
      if (slice(job)) jobs.push(job);
    } catch (error) {
      const reason = error instanceof TooLong ? 'TOO_LONG' : 'FAULT';
      const message = error instanceof Error ? error.message : String(error);
      say({ type: 'FAILED', id: job.id, reason, message });
    }
    await yieldToEventLoop();
  }
  working = false;
}

/** Callers with jobs, the one that waits longest first. */
let order: string[] = [];

/** The next job: urgent ones first, then one of each caller in turn, so that many jobs of one caller do not delay those of others. */
function take(): Job | undefined {
  const callers = new Set(jobs.map(({ caller }) => caller));
  order = [...new Set([...order, ...callers])].filter((caller) => callers.has(caller));
  const turn = order[0];
  const next = jobs.find(({ urgent }) => urgent) ?? jobs.find(({ caller }) => caller === turn);
  jobs = jobs.filter((job) => job !== next);
  if (next && !next.urgent) order = [...order.filter((caller) => caller !== next.caller), next.caller];
  return next;
}

/** Runs one time slice of a job. Returns whether there is more to do. */
function slice(job: Job): boolean {
  const { id, simulation } = job;
  const startedAt = performance.now();
  let more = true;
  while (more && performance.now() - startedAt < SLICE_MS) more = simulation.step();
  const now = performance.now();
  job.spentMs += now - startedAt;
  if (more && job.spentMs > LIMIT_MS) {
    const done = simulation.report().completedRuns;
    throw new TooLong(`only ${done} runs were done in ${LIMIT_MS / 1000} s: ask for fewer`);
  }
  if (!more || now - job.reportedAt > REPORT_MS) {
    job.reportedAt = now;
    say({ type: 'REPORT', id, report: simulation.report(), done: !more });
  }
  return more;
}
