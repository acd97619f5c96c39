/** No request forgery: what a webhook may call, judged when it is given and at every connection. */
import type { LookupAddress } from 'node:dns';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send } from '../../src/webhooks/send.ts';
import { createTargets, type Lookup } from '../../src/webhooks/targets.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { createWebhook } from './webhook.ts';

const address = (text: string): LookupAddress => ({ address: text, family: text.includes(':') ? 6 : 4 });
const resolving =
  (...texts: string[]): Lookup =>
  async () =>
    texts.map(address);
const post = async (targets: ReturnType<typeof createTargets>, url: string) =>
  send(await targets.agent(), url, { headers: {}, body: '{}' }, new AbortController().signal);

const FORBIDDEN = [
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://0/',
  'http://10.1.2.3/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://192.0.0.192/',
  'http://198.18.0.1/',
  'http://224.0.0.1/',
  'http://240.0.0.1/',
  'http://255.255.255.255/',
  'http://[::]/',
  'http://[::1]/',
  'http://[::127.0.0.1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:10.0.0.1]/',
  'http://[64:ff9b::127.0.0.1]/',
  'http://[2002:7f00:1::]/',
  'http://[2001:0:7f00:1::]/',
  'http://[fe80::1]/',
  'http://[fc00::1]/',
  'http://[fd00:ec2::254]/',
  'http://[fec0::1]/',
  'http://[ff02::1]/',
  'http://１２７.０.０.１/',
];

describe('an address inside', () => {
  let receiver: Receiver;
  let serin: TestSerin;
  beforeAll(async () => {
    receiver = await startReceiver();
    serin = await startTestSerin();
  });
  afterAll(async () => {
    await receiver.close();
    await serin.stop();
  });

  test.each(FORBIDDEN)('%s is refused when it is given, and no connection is made', async (url) => {
    const targets = createTargets([]);
    expect(await targets.refuse(url)).toMatch(/^cannot be called: .* does not call$/);
    const sent = await post(targets, url);
    expect(sent).toMatchObject({
      httpStatus: null,
      error: expect.stringMatching(/^Not sent: .* does not call$/),
    });
  });

  test.each([
    ['127.0.0.1'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['10.0.0.7'],
    ['169.254.169.254'],
    ['93.184.216.34', '127.0.0.1'],
  ])('a name that leads to %s is refused, when it is given and when it is called', async (...found) => {
    const targets = createTargets([], resolving(...found));
    expect(await targets.refuse('https://hooks.example.com/')).toContain('resolves to');
    const { port } = new URL(receiver.url);
    const sent = await post(targets, `http://hooks.example.com:${port}/`);
    expect(sent.error).toContain('resolves to');
    expect(receiver.received).toHaveLength(0);
  });

  test('a name that changes its answer between check and call gains nothing', async () => {
    const answers = ['93.184.216.34', '127.0.0.1'];
    const targets = createTargets([], async () => [address(answers.shift() ?? '127.0.0.1')]);
    const { port } = new URL(receiver.url);
    const url = `http://rebind.example.com:${port}/`;
    expect(await targets.refuse(url)).toBeNull();
    expect((await post(targets, url)).error).toContain('resolves to 127.0.0.1');
    expect(receiver.received).toHaveLength(0);
  });

  test('a connection goes to the address that was judged, whatever the name says elsewhere', async () => {
    const targets = createTargets(['127.0.0.1'], resolving('127.0.0.1'));
    const { port } = new URL(receiver.url);
    const sent = await post(targets, `http://nowhere.example.com:${port}/`);
    expect(sent).toMatchObject({ httpStatus: 200, error: null });
    expect(receiver.received.at(-1)?.headers.host).toBe(`nowhere.example.com:${port}`);
    await targets.close();
  });

  test('the API refuses it with the field, and an allowed network opens that network alone', async () => {
    for (const [url, said] of [
      ['http://127.0.0.1:80/x', 'loopback'],
      ['http://localhost/x', 'loopback'],
      ['ftp://example.com/', 'https://'],
      ['file:///etc/passwd', 'https://'],
      ['https://user:secret@example.com/', 'user name'],
      ['nonsense', 'must be a URL'],
      [`https://example.com/${'a'.repeat(3000)}`, 'characters'],
    ]) {
      const { success, error } = await createWebhook(serin, { url });
      expect(success, url).toBe(false);
      expect(error).toMatchObject({
        code: 'INVALID_INPUT',
        path: ['url'],
        message: expect.stringContaining(said ?? ''),
      });
      expect(error.message).not.toContain('secret@');
    }
    const opened = createTargets(['10.1.0.0/16']);
    expect(await opened.refuse('http://10.1.2.3/')).toBeNull();
    expect(await opened.refuse('http://10.2.2.3/')).toContain('private');
    expect(await opened.refuse('http://[::ffff:10.1.2.3]/')).toBeNull();
    expect(await opened.refuse('http://93.184.216.34/')).toBeNull();
    expect(await opened.refuse('http://[2606:2800:220:1::1]/')).toBeNull();
  });
});
