/** The log of a process, read as an operator reads it: a line for every command, none with a secret. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { freshDatabase } from '../harness/database.ts';
import { PROGRAM } from '../harness/program.ts';
import { type Data, until } from '../harness/serin.ts';

test('a command is a line with its request, deployment, actor and outcome; a masked error leads to its own', async () => {
  const database = await freshDatabase();
  const env = {
    ...process.env,
    DATABASE_URL: database.url,
    PORT: '0',
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
  };
  const serin = spawn(process.execPath, [PROGRAM], { env });
  let said = '';
  let log = '';
  serin.stdout.on('data', (text) => {
    said += text;
  });
  serin.stderr.on('data', (text) => {
    log += text;
  });
  const lines = (): Data[] =>
    log
      .split('\n')
      // The last one may still be coming.
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  try {
    await until(() => said.includes('listening'), 60_000);
    const url = /http:\S+(?= \()/.exec(said)?.[0] ?? '';
    const post = async (query: string, variables: unknown, id: string): Promise<Data> => {
      const headers = {
        'content-type': 'application/json',
        'x-request-id': id,
        'x-serin-actor': 'anna',
        cookie: 'a=secret-cookie',
      };
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ query, variables }),
      });
      return response.json();
    };
    await post(
      'mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success } }',
      { input: { deploymentId: 'dep_1' } },
      'desk-1',
    );
    await until(() => lines().some(({ requestId }) => requestId === 'desk-1'));
    expect(lines().find(({ requestId }) => requestId === 'desk-1')).toMatchObject({
      level: 30,
      type: 'mutation',
      fields: ['pauseDeployment'],
      deploymentId: 'dep_1',
      actor: 'anna',
      outcome: 'OK',
      ms: expect.any(Number),
    });
    const inline = 'mutation { pauseDeployment(input: { deploymentId: "dep_2" }) { success } }';
    await post(inline, {}, 'desk-3');
    await until(() => lines().some(({ requestId }) => requestId === 'desk-3'));
    expect(lines().find(({ requestId }) => requestId === 'desk-3')).toMatchObject({ deploymentId: 'dep_2' });
    // What a caller got wrong is no error of Serin's, and what it sent is not for the log.
    const wrong = 'mutation($i: UpdateWebhookInput!) { updateWebhook(input: $i) { success } }';
    await post(wrong, { i: { id: 'wh_1', secretly: 'whsec_hidden' } }, 'desk-4');
    await until(() => lines().some(({ requestId }) => requestId === 'desk-4'));
    expect(log).not.toContain('whsec_hidden');
    expect(lines().filter(({ level }) => level >= 50)).toEqual([]);
    // A statement that fails is logged without what it was sent: here with the secret that was made for the webhook.
    await database.sql`alter table webhooks add constraint closed check (false)`;
    const create = `mutation { createWebhook(input: { url: "https://93.184.216.34/hook-of-ours" }) { success } }`;
    expect((await post(create, {}, 'desk-5')).errors[0].extensions.code).toBe('INTERNAL_SERVER_ERROR');
    await until(() => log.includes('violates check constraint'));
    expect(log).not.toContain('whsec_');
    expect(log).not.toContain('hook-of-ours');
    await database.sql`alter table deployments rename to gone`;
    const { errors } = await post('{ deployment(id: "x") { id } }', {}, 'desk-2');
    const { id } = errors[0].extensions;
    await until(() => lines().some(({ requestId }) => requestId === 'desk-2'));
    expect(lines().find(({ requestId }) => requestId === 'desk-2')).toMatchObject({ errorId: id });
    expect(lines().find((line) => line.errorId === id && line.error)?.error.stack).toContain('deployments');
    expect(JSON.stringify(errors)).not.toContain('relation');
    expect(log).not.toContain('secret-cookie');
    await database.sql`alter table gone rename to deployments`;
  } finally {
    serin.kill('SIGTERM');
    await once(serin, 'exit');
    await database.drop();
  }
}, 90_000);
