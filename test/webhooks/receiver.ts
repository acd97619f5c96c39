/** A receiver of webhooks for tests: a real HTTP server on loopback that keeps what it got and answers as told. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Data } from '../harness/serin.ts';

export interface Received {
  readonly headers: Record<string, string>;
  /** The body as it came, for checking the signature. */
  readonly text: string;
  readonly body: Data;
}

type Answer = number | { status: number; headers: Record<string, string> } | null;

export interface Receiver {
  readonly url: string;
  /** All that came, in order, whatever was answered. */
  readonly received: Received[];
  /** What was taken: the messages that were answered with 2xx. */
  readonly taken: Received[];
  /** How to answer: a status, with headers, now or later; `null` never answers. */
  answer: (message: Received) => Answer | Promise<Answer>;
  close(): Promise<void>;
}

export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const taken: Received[] = [];
  const server = createServer(async (request, response) => {
    const message = await read(request);
    received.push(message);
    const answer = await receiver.answer(message);
    if (answer === null) return;
    const { status, headers } = typeof answer === 'number' ? { status: answer, headers: {} } : answer;
    if (status >= 200 && status < 300) taken.push(message);
    response.writeHead(status, headers).end('thank you');
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  const address = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${address.port}/hook`,
    received,
    taken,
    answer: () => 200,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

async function read(request: IncomingMessage): Promise<Received> {
  let text = '';
  for await (const chunk of request) text += chunk;
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  );
  return { headers, text, body: JSON.parse(text) };
}

/** The messages of a deployment by number, as `id`s without the deployment. */
export const numbersOf = (messages: readonly Received[], deploymentId: string): number[] =>
  messages.filter(({ body }) => body.data.deploymentId === deploymentId).map(({ body }) => body.data.no);
