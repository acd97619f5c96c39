/**
 * Parameters are neither in logs nor in traces: finding 20. Every mutation is sent over three transports to a process whose
 * tables refuse what is written, so that each statement that could fail does, and what it said is read.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { freshDatabase } from '../harness/database.ts';
import { OPERATIONS } from '../harness/documents.ts';
import { keyMadeHere } from '../harness/keys.ts';
import { PROGRAM } from '../harness/program.ts';
import { callerAt, until } from '../harness/serin.ts';
import { type Document, documentFor, optionalPaths } from './matrix/documents.ts';
import { callerOf } from './matrix/transports.ts';

const REFUSING = [
  'api_keys',
  'deployments',
  'freezes',
  'idempotency_keys',
  'loss_budgets',
  'strategies',
  'webhooks',
];
const IN_A_KEY = 'mark-of-an-idempotency-key';
const IN_A_DOCUMENT = 'mark-of-a-document';

test('no secret and no parameter of a caller is in the log or in a trace', async () => {
  const traces: string[] = [];
  const collector = createServer((request, response) => {
    request.on('data', (part) => traces.push(String(part)));
    request.on('end', () => response.setHeader('content-type', 'application/json').end('{}'));
  });
  await new Promise<void>((listening) => collector.listen(0, '127.0.0.1', listening));
  const address = collector.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const database = await freshDatabase();
  const rootKey = await keyMadeHere({ database }, { name: 'root', role: 'ADMIN' });
  const serin = spawn(process.execPath, [PROGRAM], {
    env: {
      ...process.env,
      DATABASE_URL: database.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      PORT: '0',
      SERIN_AUTH: 'keys',
      LOG_LEVEL: 'debug',
    },
  });
  let said = '';
  let log = '';
  serin.stdout.on('data', (text) => {
    said += text;
  });
  serin.stderr.on('data', (text) => {
    log += text;
  });
  try {
    await until(() => said.includes('listening'), 60_000);
    const url = /http:\S+(?= \()/.exec(said)?.[0] ?? '';
    const root = callerAt(() => url, { authorization: `Bearer ${rootKey}` });
    const made = await root.ask(`mutation {
      createWebhook(input: { url: "https://93.184.216.34/hook" }) { secret webhook { id } }
      createApiKey(input: { name: "bot", role: BOT }) { key } }`);
    const { secret, webhook } = made.createWebhook;
    const secrets = [rootKey, secret, made.createApiKey.key, IN_A_KEY, IN_A_DOCUMENT];
    for (const each of secrets) expect(each).toMatch(/\S{12}/);
    for (const table of REFUSING)
      await database.sql.unsafe(`alter table ${table} add constraint refusing check (false) not valid`);

    const documents: Document[] = OPERATIONS.filter(({ kind }) => kind === 'mutation').map((operation) => {
      const names = { id: webhook.id, side: 'CANARY' as const, document: { IN_A_DOCUMENT }, key: IN_A_KEY };
      const also = optionalPaths(operation).includes('input.idempotencyKey') ? 'input.idempotencyKey' : '';
      return documentFor(operation, names, also);
    });
    documents.push(
      {
        query:
          'mutation($id: ID!) { updateWebhook(input: { webhookId: $id, rotateSecret: true }) { success } }',
        variables: { id: webhook.id },
      },
      {
        query: 'mutation { createApiKey(input: { name: "other", role: BOT }) { key } }',
        variables: {},
      },
      {
        query:
          'mutation($key: String) { createDeployment(input: { strategyId: "s", stableVersionId: "a", canaryVersionId: "b", idempotencyKey: $key }) { success } }',
        variables: { key: IN_A_KEY },
      },
    );
    const direct = callerOf({ url }, 'root', `Bearer ${rootKey}`);
    let masked = 0;
    for (const document of documents)
      for (const transport of ['POST', 'SSE', 'WebSocket'] as const)
        if ((await direct.send(transport, document)).includes('INTERNAL_SERVER_ERROR')) masked += 1;
    direct.close();
    expect(masked).toBeGreaterThan(8);
    await until(() => log.includes('violates check constraint') && traces.join('').includes('createApiKey'));
    for (const text of [log, traces.join('')]) {
      for (const each of secrets) expect(text).not.toContain(each);
      expect(text).not.toMatch(/whsec_|serin_[0-9a-z]{12}_/);
    }
  } finally {
    serin.kill('SIGTERM');
    await once(serin, 'exit');
    await database.drop();
    collector.close();
  }
});
