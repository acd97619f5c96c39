/** Commands that change a deployment: from `create` to `ack`. */
import type { Command } from 'commander';
import { asking, count, deploymentId, once } from '../arguments.ts';
import { set } from '../configuration.ts';
import { contextOf } from '../context.ts';
import { importDeployment } from '../documents.ts';
import { acknowledge, type ChangeOptions, capitalOf, change, create } from '../lifecycle.ts';
import { policyOf, withPolicy } from './policies.ts';

export function addLifecycle(program: Command): void {
  withPolicy(once(asking(program, 'create', 'create a deployment; with --deploy also give it capital')))
    .argument('<strategy>', 'the strategy')
    .argument('<version>', 'the canary version')
    .option('--stable <version>', "the stable version (default: the strategy's current one)")
    .option('--id <id>', 'the id (default: the server makes one)')
    .option('--chain <chain>', 'the network or venue')
    .option('--deploy <usd>', 'deploy at once with this capital in USD: 1000000, $1,000,000, 250k')
    .action((strategy, canary, options, command) =>
      create(strategy, canary, policyOf(options), contextOf(command)),
    );
  once(asking(program, 'import', 'import a document of serin export'))
    .argument('<file>', 'the document, - for stdin')
    .option(
      '--move-stable-version',
      'if the document has a promotion, also change the stable version of the strategy on this server',
    )
    .action((file, options, command) => importDeployment(file, options, contextOf(command)));

  raising(program, 'deploy', 'split the capital between the sides and start the observation')
    .argument('<usd>', 'the capital of both sides together, in USD: 1000000, $1,000,000, 250k')
    .action((id, usd, options, command) =>
      change(
        'deployCanary',
        { deploymentId: id, capitalUsd: capitalOf(usd), ...sentAgainst(options) },
        contextOf(command),
      ),
    );
  const risky = [
    ['promote', 'promoteCanary', 'make the canary the stable version and give it all capital'],
    ['step', 'advanceStep', 'begin the next step of the ramp now'],
  ] as const;
  for (const [name, mutation, description] of risky) {
    raising(program, name, description).action((id, options, command) =>
      change(mutation, { deploymentId: id, ...sentAgainst(options) }, contextOf(command)),
    );
  }
  const simple = [
    ['rollback', 'rollbackCanary', 'give all capital back to the stable version'],
    ['cancel', 'cancelDeployment', 'end the trial without a decision'],
    ['pause', 'pauseDeployment', 'stop the observation clock; capital stays where it is'],
    ['resume', 'resumeDeployment', 'continue the observation'],
  ] as const;
  for (const [name, mutation, description] of simple) {
    changing(program, name, description).action((id, options, command) =>
      change(mutation, { deploymentId: id, ...sent(options) }, contextOf(command)),
    );
  }
  changing(program, 'extend', 'observe for longer')
    .argument('[minutes]', 'minutes from now (default: the length of the step)', count)
    .action((id, minutes, options, command) =>
      change('extendObservation', { deploymentId: id, minutes, ...sent(options) }, contextOf(command)),
    );
  changing(
    program,
    'set',
    'change settings of a live deployment: safer ones at once, looser ones with the approval of a promotion',
  )
    .argument(
      '[settings...]',
      'such as guardrails.maxLossUsd=500 autoPromote=false; null turns a guardrail off',
    )
    .option('--dry-run', 'show what would change and whether it is safer or looser; change nothing')
    .option('--approve', 'approve the change that another person asked for')
    .action((id, settings, { dryRun, approve, ...options }, command) =>
      set(id, settings, { dryRun, approve, ...sent(options) }, contextOf(command)),
    );
  once(asking(program, 'ack', 'acknowledge an allocation: say what a side holds'))
    .addArgument(deploymentId())
    .argument('<side>', 'canary or stable')
    .argument('<usd>', 'what it holds now, in USD')
    .option('--open-exposure <usd>', 'what its open positions are worth now, in USD; 0: all are closed')
    .option('--number <number>', 'the number of the allocation (default: the latest)', count)
    .action((id, side, usd, options, command) => acknowledge(id, side, usd, options, contextOf(command)));
}

/** A command that changes one deployment. */
function changing(program: Command, name: string, description: string): Command {
  return once(asking(program, name, description))
    .addArgument(deploymentId())
    .option('-r, --reason <text>', 'why; kept with the decision')
    .option(
      '--expected-revision <number>',
      'refuse if the deployment has changed since this revision',
      count,
    );
}

/** A command that a freeze refuses. */
function raising(program: Command, name: string, description: string): Command {
  return changing(program, name, description).option(
    '--override-freeze',
    'do it despite a freeze: administrators only, with --reason',
  );
}

const sent = ({ reason, expectedRevision, idempotencyKey }: ChangeOptions) => ({
  reason,
  expectedRevision,
  idempotencyKey,
});

const sentAgainst = (options: ChangeOptions) => ({
  ...sent(options),
  overrideFreeze: options.overrideFreeze,
});
