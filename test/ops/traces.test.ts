/** Traces arrive at a collector that speaks OTLP over HTTP, joined to the caller's own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, report, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const spans: Data[] = [];
const collector = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  for (const { scopeSpans } of JSON.parse(body).resourceSpans)
    spans.push(...scopeSpans.flatMap((s: Data) => s.spans));
  response
    .writeHead(request.url === '/v1/traces' ? 200 : 404, { 'content-type': 'application/json' })
    .end('{}');
});

let serin: TestSerin;
beforeAll(async () => {
  await new Promise<void>((listening) => collector.listen(0, '127.0.0.1', listening));
  const address = collector.address() as AddressInfo;
  serin = await startTestSerin({ tracesEndpoint: `http://127.0.0.1:${address.port}/` });
});
afterAll(async () => {
  await serin.stop();
  collector.close();
});

const attribute = (span: Data, key: string) =>
  span.attributes.find((a: Data) => a.key === key)?.value.stringValue;
const named = (name: string) => spans.filter((span) => span.name === name);

test('an operation is a span in the trace of its caller', async () => {
  const id = await running(serin);
  const trace = '0af7651916cd43dd8448eb211c80319c';
  await serin.post(
    'query($id: ID!) { deployment(id: $id) { status } }',
    { id },
    {
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
      'x-request-id': 'bot-7',
    },
  );
  await command(serin, 'pauseDeployment', id);
  await until(() => named('mutation pauseDeployment').length === 1 && named('query deployment').length === 1);
  const [asked] = named('query deployment');
  expect(asked).toMatchObject({ traceId: trace, parentSpanId: 'b7ad6b7169203331' });
  expect(attribute(asked, 'serin.request_id')).toBe('bot-7');
  expect(attribute(asked, 'serin.outcome')).toBe('OK');
  expect(attribute(named('mutation pauseDeployment')[0], 'serin.deployment_id')).toBe(id);
});

test('a check is a span with what came of it', async () => {
  const id = await running(serin);
  await report(serin, 'Canary', id, { pnlUsd: '1', trades: 10 });
  await serin.advance(61);
  await until(() => named('check').some((span) => attribute(span, 'serin.deployment_id') === id));
});
