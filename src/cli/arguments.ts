/** Commands that ask a server, and how their arguments and options are read. */
import { Argument, type Command, InvalidArgumentError } from 'commander';
import type { CanaryStatus } from '../client/index.ts';

/** A command that asks a server. */
export function asking(parent: Command, name: string, description: string): Command {
  return withServer(parent.command(name).description(description));
}

/** The options that name a server and say how its answer is printed. */
export function withServer(command: Command): Command {
  return command
    .option('--url <url>', 'the address of Serin (default: SERIN_URL, else http://127.0.0.1:4000)')
    .option('--key <key>', 'an API key or token (default: SERIN_KEY)')
    .option('--json', 'print JSON');
}

/** A command that changes something: sent again under the same key, it does nothing twice. */
export const once = (command: Command): Command =>
  command.option(
    '--idempotency-key <key>',
    'sent again with the same key, it does nothing twice (default: a new key)',
  );

/** The argument that names a deployment. */
export const deploymentId = () => new Argument('<id>', 'the id of the deployment');

/** A whole number. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('It must be a whole number from 0.');
  return value;
}

const STATUSES = Object.keys({
  PENDING: true,
  RUNNING: true,
  PAUSED: true,
  OBSERVATION_COMPLETE: true,
  PROMOTED: true,
  ROLLED_BACK: true,
  CANCELLED: true,
  FAILED: true,
} satisfies Record<CanaryStatus, true>);

/** `running`, `observation-complete`: the names of the API, however they are written. */
export function statuses(text: string, before: readonly string[] | undefined): readonly string[] {
  const name = text.toUpperCase().replaceAll('-', '_');
  if (!STATUSES.includes(name)) throw new InvalidArgumentError(`It must be one of ${STATUSES.join(', ')}.`);
  return [...(before ?? []), name];
}
