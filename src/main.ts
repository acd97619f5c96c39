#!/usr/bin/env node
/**
 * The process. `serin` starts the server and stops it cleanly on a signal; everything else is a command of `cli`. Each is
 * loaded only where it is needed.
 */

/** On SIGTERM the process exits within ten seconds. */
const STOP_WITHIN_MS = 9000;

const args = process.argv.slice(2);
let serving = false;
// A reader that closes the pipe, such as `head`, ends a command; a server continues.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!serving) process.exit(error.code === 'EPIPE' ? 0 : 1);
});

if (args.length === 0) await serve();
else {
  const { runProgram } = await import('./cli/program.ts');
  const exitCode = await runProgram(args, {
    serve,
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
}

async function serve(): Promise<void> {
  serving = true;
  const stopping = new AbortController();
  // From the beginning: a signal that came while PostgreSQL starts would leave it running. A terminal that closes is one.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
      stopping.abort();
    });
  }
  const variables = { ...process.env };
  // Where this is not set, graphql checks each type a second time, for each field of an answer.
  process.env.NODE_ENV ??= 'production';
  const server = await import('./serve.ts');
  await server.serve(variables, stopping.signal);
}
