/** Commands of webhooks: `webhooks ls`, `create`, `enable`, `disable`, `rotate`, `delete`, `deliveries`, `redeliver`. */
import type { Command } from 'commander';
import { asking, count, once } from '../arguments.ts';
import { contextOf } from '../context.ts';
import { changeWebhook, listDeliveries, listWebhooks } from '../webhooks.ts';

export function addWebhooks(program: Command): void {
  const webhooks = program.command('webhooks').description('send events to URLs, signed');
  asking(webhooks, 'ls', 'list webhooks').action((_options, command) => listWebhooks(contextOf(command)));
  once(asking(webhooks, 'create', 'send events to a URL; prints the secret that signs them'))
    .argument('<url>', 'where events are sent')
    .option('--strategy <name>', 'only events of this strategy')
    .option('-t, --type <type...>', 'only events of these types')
    .option('--after <cursor>', 'begin after this cursor; 0 is the beginning of the log')
    .option('--description <text>', 'what it is for')
    .action((url, { strategy, type, after, description, idempotencyKey }, command) =>
      changeWebhook(
        'createWebhook',
        { url, strategyId: strategy, eventTypes: type, after, description, idempotencyKey },
        contextOf(command),
      ),
    );
  const updates = [
    ['enable', { enabled: true }, 'send events again, from where it stopped'],
    ['disable', { enabled: false }, 'stop sending events'],
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
  asking(webhooks, 'deliveries', 'list what was sent, newest first')
    .argument('<webhook>', 'its id')
    .option('-n, --limit <count>', 'the largest number to list', count, 20)
    .action((webhookId, { limit }, command) => listDeliveries(webhookId, limit, contextOf(command)));
  asking(webhooks, 'redeliver', 'send failed events again')
    .argument('<webhook>', 'its id')
    .option('--delivery <id>', 'only this delivery')
    .action((webhookId, { delivery }, command) =>
      changeWebhook('redeliver', delivery ? { deliveryId: delivery } : { webhookId }, contextOf(command)),
    );
}
