/** The audit suite of the GraphQL over HTTP specification, as `graphql-http` ships it, against a live Serin. */
import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

/** What the specification leaves open and Serin does otherwise: audit id to reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {};

describe('GraphQL over HTTP', () => {
  for (const audit of serverAudits({ url: () => `${serin.url}/graphql`, fetchFn: fetch })) {
    test.skipIf(audit.id in LEFT_OUT)(audit.name, async () => {
      const result = await audit.fn();
      expect(result).toMatchObject({ status: 'ok' });
    });
  }
});
