#!/usr/bin/env node
/**
 * The process. `serin` starts the server: it reads the environment, prints its address, and stops cleanly on a signal.
 * Everything else is a command of `cli`; what only the server needs is loaded where it is started.
 */
import { runProgram } from './cli/program.ts';
import { BadEnvironment } from './environment/badEnvironment.ts';
import type { Serin } from './serin.ts';

/** On SIGTERM the process exits within ten seconds. */
const STOP_WITHIN_MS = 9000;

let serving = false;
// A reader that closes the pipe, such as `head`, ends a command; a server continues.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!serving) process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const exitCode = await runProgram(process.argv.slice(2), {
  serve: () => orExit('Serin cannot start', serve),
  async keys() {
    const { localKeys } = await import('./cli/localKeys.ts');
    return localKeys(process.env);
  },
  async verifyAudit(options) {
    const { verifyAudit } = await import('./cli/audit.ts');
    await verifyAudit(options, process.env);
  },
});
if (exitCode !== null) process.exit(exitCode);

async function serve(): Promise<void> {
  serving = true;
  const { readEnvironment } = await import('./environment/environment.ts');
  const environment = readEnvironment(process.env);
  const stopping = new AbortController();
  let started: Serin | null = null;
  // From the beginning: a signal that came while PostgreSQL starts would leave it running.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
      void started?.stop().then(() => process.exit(0));
    });
  }
  // Where this is not set, graphql checks each type a second time, for each field of an answer.
  process.env.NODE_ENV ??= 'production';
  const { startSerin } = await import('./serin.ts');
  const serin = await startSerin(environment, stopping.signal).catch((error: unknown) => {
    if (stopping.signal.aborted) process.exit(0);
    throw error;
  });
  started = serin;
  if (stopping.signal.aborted) {
    await serin.stop();
    process.exit(0);
  }
  process.stdout.write(`Serin listening on ${serin.url} (GraphQL at ${serin.url}/graphql)\n`);
  if (serin.open) {
    process.stdout.write(
      'Serin runs open, without authentication: every caller on this machine is ADMIN (SERIN_AUTH=keys requires keys)\n',
    );
  }
}

async function orExit(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${what}: ${message}\n`);
    if (!(error instanceof BadEnvironment) && error instanceof Error && error.cause instanceof Error) {
      process.stderr.write(`  because: ${error.cause.message}\n`);
    }
    process.exit(1);
  }
}
