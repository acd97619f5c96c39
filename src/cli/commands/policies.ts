/** Commands that try a policy, and the options of a policy for all commands that take one. */
import type { Command } from 'commander';
import { asking, count, deploymentId } from '../arguments.ts';
import { contextOf, LONG_MS } from '../context.ts';
import { replay, type SimulateOptions, simulate } from '../policy.ts';

export function addPolicies(program: Command): void {
  withPolicy(asking(program, 'simulate', 'try a configuration on simulated canaries'))
    .option('--runs <count>', 'number of simulated canaries of each kind', count)
    .option('--seed <number>', 'the same seed gives the same answer', count)
    .action((options, command) => simulate(policyOf(options), contextOf(command)));
  withPolicy(
    asking(program, 'replay', 'show what a configuration would have decided on a recorded deployment'),
  )
    .addArgument(deploymentId())
    .action((id, options, command) => replay(id, policyOf(options), contextOf(command, LONG_MS)));
}

/** The options of a policy, for commands that make or try one. */
export function withPolicy(command: Command): Command {
  return command
    .option('-c, --config <file>', 'a JSON file with a configuration (- for stdin); options override it')
    .option('--percent <percent>', "the canary's share of the capital, in percent")
    .option('--minutes <minutes>', 'the observation period in minutes', count)
    .option('--check <seconds>', 'seconds between two checks', count)
    .option(
      '--steps <steps>',
      'a ramp as percent:minutes: 10:60,25:120; after 10:60m a person starts the next step',
    )
    .option('--no-auto-promote', 'leave promotion to a person')
    .option('--no-auto-rollback', 'leave rollback to a person; guardrails still roll back')
    .option('--require-approval', 'require two people for a promotion');
}

/** Options of commander are on unless `--no-…` is given: only what was given is sent. */
export function policyOf(options: SimulateOptions): SimulateOptions {
  const off = (value: boolean | undefined) => (value === false ? false : undefined);
  return { ...options, autoPromote: off(options.autoPromote), autoRollback: off(options.autoRollback) };
}
