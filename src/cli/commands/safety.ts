/** Commands that limit risk over many deployments: freezes, halt, loss budgets. */
import { type Command, Option } from 'commander';
import { asking, count, once } from '../arguments.ts';
import { addBudget, type BudgetOptions, deleteBudget, listBudgets, rearmBudget } from '../budgets.ts';
import { contextOf } from '../context.ts';
import { type FreezeOptions, freeze, type HaltOptions, halt, listFreezes, unfreeze } from '../safety.ts';

export function addSafety(program: Command): void {
  once(asking(program, 'freeze', 'block what raises risk; what lowers risk is never blocked'))
    .argument('[patterns...]', "strategies: 'eth-*' (default: all that the key may see)")
    .requiredOption('-r, --reason <text>', 'why; shown to everybody who is refused')
    .option('--chain <pattern...>', 'only on these chains')
    .option('--from <instant>', 'when it begins (default: now)')
    .option('--until <instant>', 'when it ends (default: when it is lifted)')
    .option('--for <time>', 'how long it lasts, instead of --until: 90m, 12h, 3d')
    .option('--block <what...>', 'deploy, step-up, promote (default: all)')
    .option('--rule <cron>', 'a freeze that recurs: "15 8 * * FRI#1" (minute hour day month weekday)')
    .option('--zone <name>', 'the time zone of the rule, such as America/New_York')
    .option('--minutes <count>', 'how long each recurrence lasts, in minutes', count)
    .action((patterns: string[], options: FreezeOptions, command) =>
      freeze(patterns, options, contextOf(command)),
    );
  once(asking(program, 'unfreeze', 'lift a freeze'))
    .argument('<freeze>', 'its id')
    .option('-r, --reason <text>', 'why; kept in the audit trail')
    .action((id, options, command) => unfreeze(id, options, contextOf(command)));
  asking(program, 'freezes', 'list freezes that block something now or later')
    .option('-a, --all', 'include freezes that are over or lifted')
    .option('-n, --limit <count>', 'the largest number to list', count, 50)
    .action(({ all, limit }, command) => listFreezes(all === true, limit, contextOf(command)));
  once(asking(program, 'halt', 'roll back, pause or cancel all live deployments of some strategies'))
    .argument('<patterns...>', "strategies: 'eth-*'; '*' is everything")
    .requiredOption('-r, --reason <text>', 'why; kept in the audit trail')
    .addOption(
      new Option('--action <action>', 'what happens to each; pause leaves its capital invested')
        .choices(['pause', 'rollback', 'cancel'])
        .default('rollback'),
    )
    .option('--chain <pattern...>', 'only on these chains')
    .option('--freeze', 'also freeze them: nothing begins until the freeze is lifted')
    .action((patterns: string[], options: HaltOptions, command) =>
      halt(patterns, options, contextOf(command)),
    );
}

export function addBudgets(program: Command): void {
  asking(program, 'budgets', 'list loss budgets and how much of each is used').action((_options, command) =>
    listBudgets(contextOf(command)),
  );
  once(asking(program, 'budget', 'set how much the canaries of some strategies may lose together'))
    .argument('<name>', 'a name for people')
    .argument('[patterns...]', "strategies: 'eth-*' (default: all that the key may see)")
    .requiredOption('--max <usd>', 'the loss in USD that trips it: 5000, $5k')
    .requiredOption('--hours <count>', 'the length of its window in hours', count)
    .addOption(
      new Option(
        '--action <action>',
        'what happens when it trips; pause and freeze leave the capital invested',
      )
        .choices(['rollback-all', 'rollback-losers', 'pause', 'freeze'])
        .default('rollback-all'),
    )
    .option('--losers-only', 'gains of one canary do not offset losses of another')
    .addOption(
      new Option(
        '--rearm <who>',
        'who arms it again: an administrator (manual), or Serin when the loss has left the window',
      )
        .choices(['manual', 'window'])
        .default('manual'),
    )
    .action((name: string, patterns: string[], options: BudgetOptions, command) =>
      addBudget(name, patterns, options, contextOf(command)),
    );
  once(asking(program, 'rearm', 'arm a tripped loss budget again and lift its freeze'))
    .argument('<budget>', 'its id')
    .requiredOption('-r, --reason <text>', 'why; kept in the audit trail')
    .action((id, options, command) => rearmBudget(id, options, contextOf(command)));
  once(asking(program, 'unbudget', 'delete a loss budget and lift its freeze'))
    .argument('<budget>', 'its id')
    .option('-r, --reason <text>', 'why; kept in the audit trail')
    .action((id, options, command) => deleteBudget(id, options, contextOf(command)));
}
