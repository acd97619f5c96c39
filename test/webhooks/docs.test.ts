/** The receivers that `docs/webhooks.md` shows run as they stand: they take what Serin sends and nothing else. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimPort } from '../harness/claimedPort.ts';
import { command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { createWebhook, deliveriesOf } from './webhook.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let serin: TestSerin;
let folder: string;
beforeAll(async () => {
  serin = await startTestSerin({ webhookNetworks: ['127.0.0.1'] });
  // Inside the project, so that the packages are found.
  folder = await mkdtemp(join(ROOT, 'node_modules/.cache-docs-'));
});
afterAll(async () => {
  await serin.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The first block of a language that serves something, with another port. */
async function receiverIn(language: string, port: number): Promise<string> {
  const text = await readFile(join(ROOT, 'docs/webhooks.md'), 'utf8');
  const blocks = [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)];
  const [, , code] = blocks.find(([, name, body]) => name === language && body?.includes('8000')) ?? [];
  if (code === undefined) throw new Error(`docs/webhooks.md shows no receiver in ${language}`);
  return code.replace('8000', String(port));
}

test.each([
  ['ts', 'receiver.ts', [process.execPath, '--import', 'tsx']],
  ['python', 'receiver.py', ['python3', '-u']],
])(
  'the receiver in %s',
  async (language, file, [program = '', ...flags]) => {
    const { port, release } = await claimPort();
    await writeFile(join(folder, file), await receiverIn(language, port));
    const url = `http://127.0.0.1:${port}/serin`;
    const { webhook, secret } = await createWebhook(serin, { url, strategyId: `docs-${language}` });
    let child: ChildProcess | null = null;
    let said = '';
    try {
      child = spawn(program, [...flags, join(folder, file)], {
        cwd: ROOT,
        env: { ...process.env, SERIN_WEBHOOK_SECRET: secret },
      });
      child.stdout?.on('data', (text) => {
        said += text;
      });
      child.stderr?.on('data', (text) => {
        said += text;
      });
      const forged = { 'webhook-id': 'x', 'webhook-timestamp': '1', 'webhook-signature': 'v1,AAAA' };
      const post = () =>
        fetch(url, { method: 'POST', headers: forged, body: '{}' }).then(({ status }) => status);
      await until(async () => (await post().catch(() => 0)) === 401, 30_000);
      const id = await running(serin, { strategyId: `docs-${language}` });
      await command(serin, 'rollbackCanary', id);
      await until(async () => {
        const deliveries = await deliveriesOf(serin, webhook.id);
        return deliveries.length >= 4 && deliveries.every(({ status }) => status === 'DELIVERED');
      });
      expect(said).toContain('olled back');
    } finally {
      child?.kill('SIGKILL');
      release();
    }
  },
  60_000,
);
