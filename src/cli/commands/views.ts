/** Commands that read: `ls`, `get`, `why`, `events`, `export`. */
import type { Command } from 'commander';
import { asking, count, deploymentId, statuses } from '../arguments.ts';
import { contextOf } from '../context.ts';
import { exportDeployment } from '../documents.ts';
import { events } from '../events.ts';
import { get } from '../get.ts';
import { list } from '../list.ts';
import { why } from '../why.ts';

export function addViews(program: Command): void {
  asking(program, 'ls', 'list live deployments')
    .argument('[pattern]', "strategies or ids that match: eth, 'eth-*'")
    .option('-a, --all', 'include deployments that have ended')
    .option('-s, --status <status...>', 'only these statuses, such as RUNNING', statuses)
    .option('--chain <chain>', 'only this chain')
    .option('-n, --limit <count>', 'the largest number to list', count, 50)
    .option('-q, --quiet', 'print only ids')
    .action((pattern, options, command) => list(pattern, options, contextOf(command)));
  asking(program, 'get', 'show a deployment')
    .addArgument(deploymentId())
    .option('-w, --watch', 'follow it live until it ends; q quits')
    .action((id, options, command) => get(id, options, contextOf(command)));
  asking(program, 'why', 'explain the last decision, or why none is made yet')
    .addArgument(deploymentId())
    .action((id, _options, command) => why(id, contextOf(command)));
  asking(program, 'events', 'show the timeline: the newest events, or all since a time')
    .argument('[id]', 'only this deployment')
    .option('-f, --follow', 'follow live: every event once, also across disconnects')
    .option(
      '--since <when>',
      'begin 30m, 2h or 1d ago on the clock of the server, at an instant, or after a cursor',
    )
    .option('--strategy <name>', 'only this strategy')
    .option('-t, --type <type...>', 'only these types, such as CANARY_PROMOTED')
    .option('-n, --limit <count>', 'number of newest events to show without --since', count, 20)
    .action((id, options, command) => events(id, options, contextOf(command)));
  asking(program, 'export', 'write a deployment as one JSON document')
    .addArgument(deploymentId())
    .option('-o, --output <file>', 'write to this file instead of stdout')
    .action((id, { output }, command) => exportDeployment(id, output, contextOf(command)));
}
