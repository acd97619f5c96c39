/** Commands that ask a server, and how their arguments and options are read. */
import { Argument, type Command, InvalidArgumentError } from 'commander';

/** A command that asks a server. */
export function asking(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--url <url>', 'the Serin to ask, http://127.0.0.1:4000 unless SERIN_URL says otherwise')
    .option('--key <key>', 'an API key or token; SERIN_KEY unless given')
    .option('--json', 'answer as JSON');
}

/** The argument that names a deployment. */
export const deploymentId = () => new Argument('<id>', 'the deployment');

/** A whole number. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is wanted.');
  return value;
}

/** `running`, `observation-complete`: the names of the API, however they are written. */
export function statuses(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text.toUpperCase().replaceAll('-', '_')];
}
