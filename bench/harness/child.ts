/**
 * Processes of a benchmark: nodes, peers and load generators, each on its own so that none pays for another. A child
 * says over IPC when it is ready; it is ended with SIGTERM and waited for.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

export interface Child {
  readonly process: ChildProcess;
  /** What it said when it was ready: mostly the address it listens on. */
  readonly ready: string;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** A benchmark that dies takes its processes along. */
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

const fileOf = (name: string) => new URL(`../${name}`, import.meta.url);

/** Starts a TypeScript file of the bench folder and waits until it is ready. */
export async function startChild(name: string, ...args: string[]): Promise<Child> {
  const env = { ...process.env, NODE_ENV: 'production' };
  const child = fork(fileOf(name), args, { execArgv: ['--import', 'tsx'], stdio: 'inherit', env });
  return { process: child, ready: await untilReady(child, name), stop: () => stopProcess(child) };
}

/** Waits for a child's first message; its end before that is an error. */
async function untilReady(child: ChildProcess, name: string): Promise<string> {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return new Promise((ready, failed) => {
    child.once('message', (message) => ready(String(message)));
    child.once('exit', (code) => failed(new Error(`${name} ended with ${code} before it was ready`)));
  });
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const impatient = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(impatient);
}

/** Said by a child that is ready. */
export function sayReady(message: string): void {
  process.send?.(message);
}
