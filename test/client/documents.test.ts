/** What the client sends fits the schema that is published, and what it asks of newer servers it does not send to older. */
import { readFile } from 'node:fs/promises';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import {
  allocationsDocument,
  type CommandName,
  commandDocument,
  DEPLOYMENT,
  HEARTBEAT,
  LIFE,
  OPENING,
  RECORD_TRADES,
  RECORD_TRADES_LEASED,
} from '../../src/client/operations.ts';

const COMMANDS: readonly CommandName[] = [
  'createDeployment',
  'deployCanary',
  'promoteCanary',
  'rollbackCanary',
  'cancelDeployment',
  'pauseDeployment',
  'resumeDeployment',
  'extendObservation',
  'advanceStep',
  'acknowledgeAllocation',
];

test.each([
  ...COMMANDS.map((name) => [name, commandDocument(name)] as const),
  ['DEPLOYMENT', DEPLOYMENT],
  ['OPENING', OPENING],
  ['ALLOCATIONS', allocationsDocument(true)],
  ['ALLOCATIONS of older servers', allocationsDocument(false)],
  ['RECORD_TRADES', RECORD_TRADES],
  ['RECORD_TRADES_LEASED', RECORD_TRADES_LEASED],
  ['HEARTBEAT', HEARTBEAT],
  ['LIFE', LIFE],
] as const)('%s is a document of the schema', async (_name, document) => {
  const schema = buildSchema(await readFile('schema.graphql', 'utf8'));
  expect(validate(schema, parse(document)).map(({ message }) => message)).toEqual([]);
});
