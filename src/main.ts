#!/usr/bin/env node
/**
 * The process. `serin` starts the server: it reads the environment, prints its address, and stops cleanly on a signal.
 * `serin keys …` manages API keys and exits.
 */
import { KEYS_USAGE, keysCommand } from './cli/keys.ts';
import { BadEnvironment, readEnvironment } from './environment/environment.ts';
import { type Serin, startSerin } from './serin.ts';

/** On SIGTERM the process exits within ten seconds. */
const STOP_WITHIN_MS = 9000;

const [command, ...rest] = process.argv.slice(2);
if (command === undefined) await orExit('Serin cannot start', serve);
else if (command === 'keys') await orExit('serin keys', () => keysCommand(rest, process.env));
else {
  const help = command === '--help' || command === 'help';
  process[help ? 'stdout' : 'stderr'].write(`serin              starts the server\n${KEYS_USAGE}`);
  process.exit(help ? 0 : 2);
}

async function serve(): Promise<void> {
  const environment = readEnvironment(process.env);
  const stopping = new AbortController();
  let started: Serin | null = null;
  // From the beginning: a signal that came while PostgreSQL starts would leave it behind.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
      void started?.stop().then(() => process.exit(0));
    });
  }
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
