/** The command `serin`: its version, its help, and where each group of commands is added. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../store/postgres/version.ts';
import { withServer } from './arguments.ts';
import type { VerifyOptions } from './audit.ts';
import { addLifecycle } from './commands/lifecycle.ts';
import { addPolicies } from './commands/policies.ts';
import { addBudgets, addSafety } from './commands/safety.ts';
import { addViews } from './commands/views.ts';
import { addWebhooks } from './commands/webhooks.ts';
import { complete, completionScript } from './completion.ts';
import { EXIT, explain } from './exitCodes.ts';
import type { Keys } from './keyOperations.ts';
import { addKeys } from './keys.ts';
import { oneLineOf } from './terminal.ts';

/** What runs in this process instead of asking a server. */
export interface Local {
  serve(): Promise<void>;
  /** The keys in the database of this machine. */
  keys(): Promise<Keys>;
  verifyAudit(options: VerifyOptions): Promise<void>;
}

/** Runs a command line. Returns the exit code, or null while the process keeps running, as a server does. */
export async function runProgram(args: readonly string[], local: Local): Promise<number | null> {
  let serves = false;
  const program = buildProgram({
    ...local,
    async serve() {
      await local.serve();
      serves = true;
    },
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return serves ? null : EXIT.done;
  } catch (error) {
    // Commander has written its own sentence.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const { message, exitCode } = explain(error);
    process.stderr.write(`serin: ${oneLineOf(message)}\n`);
    return exitCode;
  }
}

function buildProgram(local: Local): Command {
  const program = new Command('serin')
    .description('Canary deployments of trading strategies: the server, and its command line.')
    .version(VERSION)
    // Before a command they are the program's, after it the command's own.
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .helpCommand(true)
    .addHelpText(
      'after',
      '\nWithout a command, serin starts the server. Exit codes and examples: docs/cli.md',
    );

  withServer(program);
  program
    .command('serve')
    .description('start the server; environment variables configure it')
    .action(() => local.serve());
  program
    .command('audit')
    .description('the audit trail in the database of this machine')
    .command('verify')
    .description('check that no record was changed, removed or added after it was sealed')
    .option('--expect <block>', 'a block that you noted before, as number:hash: 812:9f86d081884c')
    .option('--json', 'print JSON')
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

function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the completion script of a shell: source <(serin completion bash)')
    .argument('<shell>', 'bash, zsh or fish')
    .action((shell) => void process.stdout.write(completionScript(shell)));
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: string[]) => {
      process.stdout.write(`${(await complete(words, program)).join('\n')}\n`);
    });
}
