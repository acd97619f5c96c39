/** Somebody who changes one deployment again and again, each time with an idempotency key, and writes down what was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../harness/deployment.ts';
import { type TestSerin, until } from '../harness/serin.ts';

export interface Writer {
  readonly deploymentId: string;
  /** The revisions of the commands that were acknowledged, in their order. */
  readonly acknowledged: readonly number[];
  /** Waits until so many more are acknowledged. @throws {Error} if a command was refused */
  more(count: number): Promise<void>;
  /** Waits for the command in flight. @throws {Error} if a command was refused */
  stop(): Promise<void>;
}

/** Milliseconds between two commands: a deployment is changed at most 120 times a minute. */
const PAUSE_MS = 100;

/** A command is repeated with its key until it is answered. */
export function startWriter(serin: TestSerin, deploymentId: string): Writer {
  const acknowledged: number[] = [];
  const stopped = new AbortController();
  const working = work();

  async function work(): Promise<void> {
    for (let turn = 0; !stopped.signal.aborted; turn += 1) {
      const name = turn % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment';
      const { success, message, deployment } = await command(serin, name, deploymentId);
      if (!success) throw new Error(`${name} was refused: ${message}`);
      acknowledged.push(deployment.revision);
      await sleep(PAUSE_MS);
    }
  }

  return {
    deploymentId,
    acknowledged,
    async more(count) {
      const enough = acknowledged.length + count;
      await Promise.race([until(() => acknowledged.length >= enough), working]);
    },
    async stop() {
      stopped.abort();
      await working;
    },
  };
}
