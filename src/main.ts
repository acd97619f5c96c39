#!/usr/bin/env node
import { startSerin } from './serin.ts';
/** The process: reads the environment, starts Serin, says where it listens, and stops cleanly on a signal. */
import { BadEnvironment, readEnvironment } from './server/environment.ts';

/** SIGTERM promises to be over within ten seconds. */
const STOP_WITHIN_MS = 9000;

try {
  const serin = await startSerin(readEnvironment(process.env));
  process.stdout.write(`Serin listening on ${serin.url} (GraphQL at ${serin.url}/graphql)\n`);
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
      void serin.stop().then(() => process.exit(0));
    });
  }
} catch (error) {
  const said = error instanceof Error ? error.message : String(error);
  process.stderr.write(`Serin cannot start: ${said}\n`);
  if (!(error instanceof BadEnvironment) && error instanceof Error && error.cause instanceof Error) {
    process.stderr.write(`  because: ${error.cause.message}\n`);
  }
  process.exit(1);
}
