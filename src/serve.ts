/** The server as a process: reads the environment, starts Serin, prints its address, and exits once it is stopped. */
import { BadEnvironment, readEnvironment } from './environment/environment.ts';
import { startSerin } from './serin.ts';

/** Serves until `stopping` is aborted. Where it cannot start, the process exits with 1 and says why. */
export async function serve(variables: NodeJS.ProcessEnv, stopping: AbortSignal): Promise<void> {
  try {
    await start(variables, stopping);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`Serin cannot start: ${message}\n`);
    if (!(error instanceof BadEnvironment) && error instanceof Error && error.cause instanceof Error) {
      process.stderr.write(`  because: ${error.cause.message}\n`);
    }
    process.exit(1);
  }
}

async function start(variables: NodeJS.ProcessEnv, stopping: AbortSignal): Promise<void> {
  const environment = readEnvironment(variables);
  const serin = await startSerin(environment, stopping).catch((error: unknown) => {
    if (stopping.aborted) process.exit(0);
    throw error;
  });
  const stop = () => void serin.stop().then(() => process.exit(0));
  if (stopping.aborted) return stop();
  stopping.addEventListener('abort', stop, { once: true });
  process.stdout.write(`Serin listening on ${serin.url} (GraphQL at ${serin.url}/graphql)\n`);
  if (serin.open) {
    process.stdout.write(
      'Serin runs open, without authentication: every caller on this machine is ADMIN (SERIN_AUTH=keys requires keys)\n',
    );
  }
}
