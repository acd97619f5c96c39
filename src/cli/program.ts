/** The command `serin`: every command with its arguments, on commander. What each does is in the file of its name. */
import { Command, CommanderError, Option } from 'commander';
import { VERSION } from '../store/postgres/version.ts';
import { asking, count, deploymentId, statuses } from './arguments.ts';
import type { VerifyOptions } from './audit.ts';
import { addBudget, type BudgetOptions, deleteBudget, listBudgets, rearmBudget } from './budgets.ts';
import { complete, completionScript } from './completion.ts';
import { set } from './configuration.ts';
import { contextOf, LONG_MS } from './context.ts';
import { exportDeployment, importDeployment } from './documents.ts';
import { events } from './events.ts';
import { EXIT, explain } from './exitCodes.ts';
import { get } from './get.ts';
import type { Keys } from './keyOperations.ts';
import { addKeys } from './keys.ts';
import { acknowledge, type ChangeOptions, capitalOf, change, create } from './lifecycle.ts';
import { list } from './list.ts';
import { replay, type SimulateOptions, simulate } from './policy.ts';
import { type FreezeOptions, freeze, type HaltOptions, halt, listFreezes, unfreeze } from './safety.ts';
import { changeWebhook, listDeliveries, listWebhooks } from './webhooks.ts';
import { why } from './why.ts';

/** What runs in this process instead of asking a server. */
export interface Local {
  serve(): Promise<void>;
  /** The keys in the database of this machine. */
  keys(): Promise<Keys>;
  verifyAudit(options: VerifyOptions): Promise<void>;
}

/** Runs a command line. Returns the exit code, or null while the process keeps running, as a server does. */
export async function runProgram(args: readonly string[], local: Local): Promise<number | null> {
  const program = buildProgram(local);
  try {
    await program.parseAsync(args.length === 0 ? ['serve'] : [...args], { from: 'user' });
    return args.length === 0 || args[0] === 'serve' ? null : EXIT.done;
  } catch (error) {
    // Commander has written its own sentence.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const { message, exitCode } = explain(error);
    process.stderr.write(`serin: ${message}\n`);
    return exitCode;
  }
}

function buildProgram(local: Local): Command {
  const program = new Command('serin')
    .description('Canary deployments of trading strategies: the server, and its command line.')
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError()
    .helpCommand(true)
    .addHelpText('after', '\nWithout a command serin starts the server. Exit codes, examples: docs/cli.md');

  program
    .command('serve')
    .description('start the server; the environment configures it')
    .action(() => local.serve());
  program
    .command('audit')
    .description('the audit trail, on the machine of the database')
    .command('verify')
    .description('check that no record was changed, removed or added since it was sealed')
    .option('--expect <block>', 'the number and hash of a block that you kept: 812:9f86d081884c')
    .option('--json', 'answer as JSON')
    .action((options: VerifyOptions) => local.verifyAudit(options));

  addViews(program);
  addLifecycle(program);
  addSafety(program);
  addBudgets(program);
  addPolicies(program);
  addWebhooks(program);
  addKeys(program, local.keys);
  addCompletion(program);
  return program;
}

function addViews(program: Command): void {
  asking(program, 'ls', 'list deployments, the live ones unless told otherwise')
    .argument('[pattern]', "a strategy or id, or a part of it: eth, 'eth-*'")
    .option('-a, --all', 'those that have ended, too')
    .option('-s, --status <status...>', 'only with this status, such as RUNNING', statuses)
    .option('--chain <chain>', 'only on this chain')
    .option('-n, --limit <count>', 'at most so many', count, 50)
    .option('-q, --quiet', 'ids alone')
    .action((pattern, options, command) => list(pattern, options, contextOf(command)));
  asking(program, 'get', 'show a deployment')
    .addArgument(deploymentId())
    .option('-w, --watch', 'live, until it ends or q is pressed')
    .action((id, options, command) => get(id, options, contextOf(command)));
  asking(program, 'why', 'explain the last decision, or what stands in the way of one')
    .addArgument(deploymentId())
    .action((id, _options, command) => why(id, contextOf(command)));
  asking(program, 'events', 'show the timeline')
    .argument('[id]', 'of one deployment')
    .option('-f, --follow', 'go on live, through disconnects, every event once')
    .option('--since <when>', 'from then on: 30m, 2h, 1d, an instant, or a cursor')
    .option('--strategy <name>', 'of one strategy')
    .option('-t, --type <type...>', 'only of these types, such as CANARY_PROMOTED')
    .option('-n, --limit <count>', 'the newest so many where --since is not given', count, 20)
    .action((id, options, command) => events(id, options, contextOf(command)));
  asking(program, 'export', 'write a deployment as one JSON document')
    .addArgument(deploymentId())
    .option('-o, --output <file>', 'a file instead of stdout')
    .action((id, { output }, command) => exportDeployment(id, output, contextOf(command)));
}

/** The options of a policy, for commands that make or try one. */
function withPolicy(command: Command): Command {
  return command
    .option(
      '-c, --config <file>',
      'a JSON file with a configuration (- for stdin); the options stand over it',
    )
    .option('--percent <percent>', "the canary's share of the capital")
    .option('--minutes <minutes>', 'how long it is observed', count)
    .option('--check <seconds>', 'between two checks', count)
    .option('--steps <steps>', 'a ramp: 10:60,25:120 (percent:minutes; 10:60m waits for a person)')
    .option('--no-auto-promote', 'leave promotion to a person')
    .option('--no-auto-rollback', 'leave rollback to a person, guardrails apart')
    .option('--require-approval', 'a promotion needs two people');
}

/** Options of commander are on unless `--no-…` is given: only what was given is sent. */
function policyOf(options: SimulateOptions): SimulateOptions {
  const off = (value: boolean | undefined) => (value === false ? false : undefined);
  return { ...options, autoPromote: off(options.autoPromote), autoRollback: off(options.autoRollback) };
}

function addLifecycle(program: Command): void {
  withPolicy(asking(program, 'create', 'create a deployment, and deploy it where --deploy gives it capital'))
    .argument('<strategy>', 'the strategy')
    .argument('<version>', 'the canary version')
    .option('--stable <version>', "the stable version; the strategy's current one unless given")
    .option('--id <id>', 'an id of your choosing')
    .option('--chain <chain>', 'the network or venue')
    .option('--deploy <usd>', 'deploy at once with this capital: 1000000, $1,000,000, 250k')
    .option('--idempotency-key <key>', 'your name for this request')
    .action((strategy, canary, options, command) =>
      create(strategy, canary, policyOf(options), contextOf(command)),
    );
  asking(program, 'import', 'import a document of serin export')
    .argument('<file>', 'the document, - for stdin')
    .option('--move-stable-version', 'a promotion in it moves the stable version of the strategy here')
    .action((file, { moveStableVersion }, command) =>
      importDeployment(file, moveStableVersion, contextOf(command)),
    );

  raising(program, 'deploy', 'split the capital between the sides and start the observation')
    .argument('<usd>', 'the capital of both sides: 1000000, $1,000,000, 250k')
    .action((id, usd, options, command) =>
      change(
        'deployCanary',
        { deploymentId: id, capitalUsd: capitalOf(usd), ...sentAgainst(options) },
        contextOf(command),
      ),
    );
  const risky = [
    ['promote', 'promoteCanary', 'make the canary the stable version, with all capital'],
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
    .argument('[minutes]', 'by how much; once more the observation period unless given', count)
    .action((id, minutes, options, command) =>
      change('extendObservation', { deploymentId: id, minutes, ...sent(options) }, contextOf(command)),
    );
  changing(
    program,
    'set',
    'change settings of a live deployment: what is safer at once, what is looser as a promotion',
  )
    .argument(
      '[settings...]',
      'such as guardrails.maxLossUsd=500 autoPromote=false; null switches a guardrail off',
    )
    .option('--dry-run', 'only say what would change, and whether it is safer or looser')
    .option('--approve', 'approve the change that somebody else asked for')
    .action((id, settings, { dryRun, approve, ...options }, command) =>
      set(id, settings, { dryRun, approve, ...sent(options) }, contextOf(command)),
    );
  asking(program, 'ack', 'say what a side holds, in answer to a request for capital')
    .addArgument(deploymentId())
    .argument('<side>', 'canary or stable')
    .argument('<usd>', 'what it holds now')
    .option('--open-exposure <usd>', 'what its open positions are worth now: 0 says that they are closed')
    .option('--number <number>', 'the request that is answered; the latest unless given', count)
    .action((id, side, usd, options, command) => acknowledge(id, side, usd, options, contextOf(command)));
}

/** A command that changes one deployment. */
function changing(program: Command, name: string, description: string): Command {
  return asking(program, name, description)
    .addArgument(deploymentId())
    .option('-r, --reason <text>', 'why, for the record')
    .option('--expected-revision <number>', 'only where the deployment still has this revision', count)
    .option('--idempotency-key <key>', 'your name for this request: given again it does nothing twice');
}

/** A command that a freeze refuses. */
function raising(program: Command, name: string, description: string): Command {
  return changing(program, name, description).option(
    '--override-freeze',
    'in spite of a freeze: for administrators, with a reason',
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

function addBudgets(program: Command): void {
  asking(program, 'budgets', 'list the loss budgets, and how much of each is used').action(
    (_options, command) => listBudgets(contextOf(command)),
  );
  asking(program, 'budget', 'say how much the canaries of some strategies may lose together')
    .argument('<name>', 'what people call it')
    .argument('[patterns...]', "strategies: 'eth-*'; all that the key sees unless given")
    .requiredOption('--max <usd>', 'a loss of this much trips it: 5000, $5k')
    .requiredOption('--hours <count>', 'in a window of so many hours, which ends now', count)
    .addOption(
      new Option('--action <action>', 'what it then does; pause and freeze leave the capital at work')
        .choices(['rollback-all', 'rollback-losers', 'pause', 'freeze'])
        .default('rollback-all'),
    )
    .option('--losers-only', 'gains of one canary do not offset the losses of another')
    .addOption(
      new Option(
        '--rearm <who>',
        'who arms it again: an administrator, or Serin when the loss has left the window',
      )
        .choices(['manual', 'window'])
        .default('manual'),
    )
    .action((name: string, patterns: string[], options: BudgetOptions, command) =>
      addBudget(name, patterns, options, contextOf(command)),
    );
  asking(program, 'rearm', 'arm a loss budget that has tripped again, and lift its freeze')
    .argument('<budget>', 'its id')
    .requiredOption('-r, --reason <text>', 'why, for the record')
    .action((id, { reason }, command) => rearmBudget(id, reason, contextOf(command)));
  asking(program, 'unbudget', 'delete a loss budget, and lift its freeze')
    .argument('<budget>', 'its id')
    .option('-r, --reason <text>', 'why, for the record')
    .action((id, { reason }, command) => deleteBudget(id, reason, contextOf(command)));
}

function addSafety(program: Command): void {
  asking(program, 'freeze', 'block what raises risk: nothing that lowers it is held up')
    .argument('[patterns...]', "strategies: 'eth-*'; all that the key sees unless given")
    .requiredOption('-r, --reason <text>', 'why: shown to everybody who is refused')
    .option('--chain <pattern...>', 'only on these chains')
    .option('--from <instant>', 'when it begins; now unless given')
    .option('--until <instant>', 'when it ends; when it is lifted unless given')
    .option('--for <time>', 'or how long it lasts: 90m, 12h, 3d')
    .option('--block <what...>', 'deploy, step-up, promote; all unless given')
    .option('--rule <cron>', 'for one that comes again: "15 8 * * FRI#1" (minute hour day month weekday)')
    .option('--zone <name>', 'the time zone of the rule, such as America/New_York')
    .option('--minutes <count>', 'how long it lasts each time', count)
    .action((patterns: string[], options: FreezeOptions, command) =>
      freeze(patterns, options, contextOf(command)),
    );
  asking(program, 'unfreeze', 'lift a freeze')
    .argument('<freeze>', 'its id')
    .option('-r, --reason <text>', 'why, for the record')
    .action((id, { reason }, command) => unfreeze(id, reason, contextOf(command)));
  asking(program, 'freezes', 'list the freezes that block something now or later')
    .option('-a, --all', 'those that are over or lifted, too')
    .option('-n, --limit <count>', 'at most so many', count, 50)
    .action(({ all, limit }, command) => listFreezes(all === true, limit, contextOf(command)));
  asking(program, 'halt', 'pause, roll back or cancel all live deployments of some strategies')
    .argument('<patterns...>', "strategies: 'eth-*'; '*' is everything")
    .requiredOption('-r, --reason <text>', 'why, for the record')
    .addOption(
      new Option('--action <action>', 'pause leaves the capital at work')
        .choices(['pause', 'rollback', 'cancel'])
        .default('rollback'),
    )
    .option('--chain <pattern...>', 'only on these chains')
    .option('--freeze', 'and let nothing begin before the freeze is lifted')
    .option('--idempotency-key <key>', 'your name for this halt: given again it completes it')
    .action((patterns: string[], options: HaltOptions, command) =>
      halt(patterns, options, contextOf(command)),
    );
}

function addPolicies(program: Command): void {
  withPolicy(asking(program, 'simulate', 'try a configuration on simulated canaries'))
    .option('--runs <count>', 'simulated canaries of each kind', count)
    .option('--seed <number>', 'the same seed, the same answer', count)
    .action((options, command) => simulate(policyOf(options), contextOf(command, LONG_MS)));
  withPolicy(asking(program, 'replay', 'what a configuration would have decided on a recorded deployment'))
    .addArgument(deploymentId())
    .action((id, options, command) => replay(id, policyOf(options), contextOf(command, LONG_MS)));
}

function addWebhooks(program: Command): void {
  const webhooks = program.command('webhooks').description('who is sent the timeline');
  asking(webhooks, 'ls', 'list webhooks').action((_options, command) => listWebhooks(contextOf(command)));
  asking(webhooks, 'create', 'have events sent to a URL; prints the secret that signs them')
    .argument('<url>', 'where to')
    .option('--strategy <name>', 'only of this strategy')
    .option('-t, --type <type...>', 'only of these types')
    .option('--after <cursor>', 'begin after this cursor; 0 is the beginning')
    .option('--description <text>', 'what it is for')
    .action((url, { strategy, type, after, description }, command) =>
      changeWebhook(
        'createWebhook',
        { url, strategyId: strategy, eventTypes: type, after, description },
        contextOf(command),
      ),
    );
  const updates = [
    ['enable', { enabled: true }, 'send again, from where it stopped'],
    ['disable', { enabled: false }, 'stop sending'],
    ['rotate', { rotateSecret: true }, 'make a new secret and print it'],
  ] as const;
  for (const [name, update, description] of updates) {
    asking(webhooks, name, description)
      .argument('<webhook>', 'its id')
      .action((webhookId, _options, command) =>
        changeWebhook('updateWebhook', { webhookId, ...update }, contextOf(command)),
      );
  }
  asking(webhooks, 'delete', 'delete a webhook')
    .argument('<webhook>', 'its id')
    .action((webhookId, _options, command) =>
      changeWebhook('deleteWebhook', { webhookId }, contextOf(command)),
    );
  asking(webhooks, 'deliveries', 'what was sent, the newest first')
    .argument('<webhook>', 'its id')
    .option('-n, --limit <count>', 'at most so many', count, 20)
    .action((webhookId, { limit }, command) => listDeliveries(webhookId, limit, contextOf(command)));
  asking(webhooks, 'redeliver', 'send again what failed')
    .argument('<webhook>', 'its id')
    .option('--delivery <id>', 'this one alone')
    .action((webhookId, { delivery }, command) =>
      changeWebhook('redeliver', delivery ? { deliveryId: delivery } : { webhookId }, contextOf(command)),
    );
}

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the completion for a shell: source <(serin completion bash)')
    .argument('<shell>', 'bash or zsh')
    .action((shell) => void process.stdout.write(completionScript(shell)));
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: string[]) => {
      process.stdout.write(`${(await complete(words, program)).join('\n')}\n`);
    });
}
