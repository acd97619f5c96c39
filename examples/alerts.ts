/**
 * Receives Serin's webhooks and raises an alert for what costs money: checks the signature, answers quickly, and counts
 * a message that comes twice once.
 *
 *     SERIN_WEBHOOK_SECRET=$(npx serin webhooks create http://127.0.0.1:8000/) npx tsx examples/alerts.ts
 *
 * Serin sends to addresses inside only where SERIN_WEBHOOKS_ALLOW_PRIVATE=127.0.0.1 allows it.
 */
import { createServer } from 'node:http';
import { env } from 'node:process';
import { Webhook } from 'standardwebhooks';

interface Message {
  readonly type: string;
  /** HISTORY_REWOUND is about all deployments and names none. */
  readonly data: {
    readonly deploymentId?: string;
    readonly strategyId?: string;
    readonly description: string;
  };
}

const ALERTS = new Set([
  'CANARY_ROLLED_BACK',
  'CANARY_FAILED',
  'GUARDRAIL_TRIPPED',
  'CANARY_OBSERVATION_COMPLETE',
  'ALLOCATION_OVERDUE',
  'LEASE_EXPIRED',
  'HISTORY_REWOUND',
]);
/** Serin tries a message for a day; a receiver for many deployments keeps these in its database. */
const seen = new Set<string>();
const webhook = new Webhook(env.SERIN_WEBHOOK_SECRET ?? '');

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const header = (name: string) => String(request.headers[name] ?? '');
  const headers = {
    'webhook-id': header('webhook-id'),
    'webhook-timestamp': header('webhook-timestamp'),
    'webhook-signature': header('webhook-signature'),
  };
  try {
    webhook.verify(body, headers);
  } catch {
    response.writeHead(401).end('the signature is not right\n');
    return;
  }
  // Taken: Serin does not wait for what is done with it.
  response.writeHead(204).end();
  if (seen.has(headers['webhook-id'])) return;
  seen.add(headers['webhook-id']);
  const { type, data }: Message = JSON.parse(body);
  const urgent = ALERTS.has(type) ? 'ALERT' : 'note';
  const about = data.deploymentId ? `${data.strategyId} ${data.deploymentId}` : 'all deployments';
  console.log(`${urgent} ${about}: ${data.description}`);
});
server.listen(Number(env.PORT ?? 8000), '127.0.0.1', () => {
  const address = server.address();
  console.log(`Alerts are received on port ${typeof address === 'object' ? address?.port : address}`);
});
