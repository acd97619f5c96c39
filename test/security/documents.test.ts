/** Documents cost bounded memory and work, valid or not, repeated or not, over every transport. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { heldBytes } from '../harness/heap.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let viewer: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  viewer = serin.as(await makeKey(await administrator(serin), 'VIEWER'));
});
afterAll(() => serin.stop());

const MB = 1_000_000;
/** Close to the limits of a document: five hundred fields of fifteen tokens each. */
const long = (index: number) => {
  const fields = 'actor @include(if: true) @skip(if: false) '.repeat(10);
  return `query Q${index} { ${Array.from({ length: 49 }, (_, at) => `a${at}: viewer { ${fields}}`).join(' ')} }`;
};
const commented = (index: number) => `# ${index} ${'x'.repeat(190_000)}\n{ viewer { actor } }`;
const invalid = (index: number) => `# ${index} ${'x'.repeat(190_000)}\n{ nothing${index} }`;
const unparsable = (index: number) => `# ${index} ${'x'.repeat(190_000)}\n{ viewer { `;

async function overSocket(query: string): Promise<void> {
  let ended = false;
  viewer
    .socket()
    .subscribe({ query }, { next: () => {}, error: () => (ended = true), complete: () => (ended = true) });
  await until(() => ended);
}

describe.each([
  ['long', long],
  ['long commented', commented],
  ['invalid', invalid],
  ['unparsable', unparsable],
])('%s documents, each another', (_what, documentOf) => {
  test('are not all remembered', async () => {
    await viewer.post(documentOf(-1));
    const before = heldBytes();
    for (let index = 0; index < 40; index += 1) await viewer.post(documentOf(index));
    for (let index = 0; index < 40; index += 1) {
      // A type that only Yoga negotiates, and its caches.
      const headers = { accept: 'application/json; charset=utf-8' };
      await viewer.post(documentOf(1000 + index), {}, headers);
    }
    expect((heldBytes() - before) / MB).toBeLessThan(60);
  });
});

test('over a socket they are not all remembered either', async () => {
  await overSocket(long(-2));
  const before = heldBytes();
  for (let index = 0; index < 15; index += 1) await overSocket(long(5000 + index));
  expect((heldBytes() - before) / MB).toBeLessThan(60);
});

test('a document that is too long is refused, and says to send variables', async () => {
  const { errors } = await viewer.post(`# ${'x'.repeat(200_001)}\n{ viewer { actor } }`);
  expect(errors?.[0]).toMatchObject({ extensions: { code: 'TOO_COMPLEX' } });
  expect(errors?.[0]?.message).toContain('SERIN_MAX_DOCUMENT_LENGTH');
});

test('messages do not repeat what was sent, however long it was', async () => {
  const text = 'x'.repeat(1_500_000);
  const answers = [
    await viewer.post('query($id: ID!) { deployment(id: $id) { id } }', { id: text }),
    await viewer.post('query($n: Int!) { deployments(first: $n) { nodes { id } } }', { n: text }),
    await viewer.post('mutation($id: ID!) { promoteCanary(input: { deploymentId: $id }) { success } }', {
      id: text,
    }),
    await viewer.post(
      'mutation($id: ID!) { createDeployment(input: { strategyId: $id, canaryVersionId: "v" }) { success } }',
      { id: text },
    ),
    await viewer.post(`{ deployments(filter: { status: ${'X'.repeat(150_000)} }) { nodes { id } } }`),
  ];
  for (const answer of answers) {
    expect(answer.errors?.length).toBeGreaterThan(0);
    expect(JSON.stringify(answer).length).toBeLessThan(10_000);
  }
});
