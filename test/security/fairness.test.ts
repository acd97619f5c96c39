/** What an operation reads is in its price, and a large one does not make others wait. */
import {
  type GraphQLObjectType,
  getNamedType,
  isCompositeType,
  isObjectType,
  isRequiredArgument,
  parse,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { costOf } from '../../src/server/pipeline/cost.ts';
import { CALM, command, create, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import { countStatements, type StatementCounter } from '../harness/statementCounter.ts';

const PARENTS = 24;
/** How often an operation executes a statement in any case. */
const ANYWAY = 6;
/** Statements of the loops in the background, after which the frequent ones are known. */
const BACKGROUND = 60;

let serin: TestSerin;
let counter: StatementCounter;
let root: TestCaller;
let viewer: TestCaller;
let admin: TestCaller;
/** Statements that the node executes by itself. */
let background: ReadonlySet<string>;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS, webhookNetworks: ['127.0.0.0/8'] });
  counter = await countStatements(serin.database.url);
  await serin.restart({ databaseUrl: counter.url });
  root = await administrator(serin);
  viewer = serin.as(await makeKey(root, 'VIEWER'));
  admin = serin.as(await makeKey(root, 'ADMIN'));
  const config = { ...CALM, requireApproval: true, evidence: { pairing: 'SIGNAL' } };
  for (let index = 0; index < PARENTS; index += 1) {
    const id = await running(root, { strategyId: `s-${index}`, config });
    await command(root, index % 2 === 0 ? 'promoteCanary' : 'cancelDeployment', id);
    const input = { url: `http://127.0.0.1:9/${index}`, idempotencyKey: `webhook ${index}` };
    await root.ask('mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success } }', {
      input,
    });
  }
  const before = counter.executed();
  const sinceThen = () => [...counter.executed()].filter(([text, count]) => count > (before.get(text) ?? 0));
  await until(() => total() >= sum(before) + BACKGROUND);
  background = new Set(sinceThen().map(([text]) => text));
});
afterAll(async () => {
  await serin.stop();
  counter.stop();
});

const sum = (executed: ReadonlyMap<string, number>) =>
  [...executed.values()].reduce((all, count) => all + count, 0);
const total = () => sum(counter.executed());

/** How often the most frequent statement is executed while the document runs. */
async function repeatsOf(by: TestCaller, document: string): Promise<number> {
  const before = counter.executed();
  await by.ask(document);
  const own = [...counter.executed()].filter(([text]) => !background.has(text));
  return Math.max(...own.map(([text, count]) => count - (before.get(text) ?? 0)));
}

const priceOf = (text: string) => {
  const document = parse(text);
  const [operation] = document.definitions;
  if (operation?.kind !== 'OperationDefinition') throw new Error('no operation');
  return costOf(schema, document, operation, {}).total;
};

const LISTS = [
  ['CanaryDeployment', `deployments(first: ${PARENTS}) { nodes`],
  ['Strategy', `strategies(first: ${PARENTS}) { nodes`],
  ['CanaryEvent', `events(first: ${PARENTS}) { nodes`],
  ['Webhook', `webhooks(first: ${PARENTS}) { nodes`],
] as const;

/** Every field without required arguments: each object by itself, and all others together. */
function selectionsOf(type: GraphQLObjectType): string[] {
  const fields = Object.values(type.getFields()).filter(({ args }) => !args.some(isRequiredArgument));
  const objects = fields.filter(({ type: of }) => isCompositeType(getNamedType(of)));
  const others = fields.filter((field) => !objects.includes(field)).map(({ name }) => name);
  return [others.join(' '), ...objects.map(({ name }) => `${name} { __typename }`)];
}

describe.each(LISTS)('every field of a list of %s', (name, list) => {
  const type = schema.getType(name);
  if (!isObjectType(type)) throw new Error(`${name} is no object type`);

  test.each(selectionsOf(type))(
    '%s repeats no statement more often than its price says',
    async (selection) => {
      const document = `{ ${list} { __typename ${selection} } } }`;
      const allowed = priceOf(document) / 10 + ANYWAY;
      let fewest = Number.POSITIVE_INFINITY;
      for (let time = 0; time < 5 && fewest > allowed; time += 1)
        fewest = Math.min(fewest, await repeatsOf(name === 'Webhook' ? admin : viewer, document));
      expect(fewest).toBeGreaterThan(0);
      expect(fewest).toBeLessThanOrEqual(allowed);
    },
  );
});

test('the price of a page includes what its connection counts', () => {
  const counted = priceOf('{ strategies(first: 200) { nodes { deployments(first: 1) { totalCount } } } }');
  expect(counted).toBeGreaterThan(
    priceOf('{ strategies(first: 200) { nodes { deployments(first: 1) { __typename } } } }'),
  );
});

test('the reads of a large operation let the small ones of others pass', async () => {
  const other = serin.as(await makeKey(root, 'VIEWER'));
  const { deployment } = await create(root);
  const pages = Array.from(
    { length: 8 },
    (_, index) => `e${index}: events(first: 1) { pageInfo { hasNextPage } }`,
  );
  let isDone = false;
  const large = viewer.ask(`{ deployments(first: ${PARENTS}) { nodes { ${pages.join(' ')} } } }`).then(() => {
    isDone = true;
  });
  const before = total();
  await until(() => total() > before + 10);
  await other.ask('query($id: ID!) { deployment(id: $id) { status } }', { id: deployment.id });
  expect(isDone).toBe(false);
  await large;
});
