/**
 * Subscribers that come and go, most of them badly: they vanish before the handshake is over, before they are
 * acknowledged, while they subscribe, or in the middle of their feed.
 */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { SerinNode } from '../faults/nodes.ts';
import type { Random } from '../faults/random.ts';

/** How long a visitor waits for an answer that it wants. */
const PATIENCE_MS = 20_000;
/** Visitors at the same time. */
const AT_ONCE = 24;

interface Visit {
  readonly url: string;
  readonly random: Random;
  /** The body of a request for a subscription. */
  readonly payload: Readonly<Record<string, unknown>>;
}

/** What is followed: together with others, alone from a cursor, and state. */
function payloadOf(random: Random, deploymentId: string, after: string): Visit['payload'] {
  const query = random.pick([
    'subscription { stateChanged { cursor status } }',
    'subscription($id: ID!) { eventAppended(deploymentId: $id) { cursor } }',
    'subscription($after: String) { eventAppended(after: $after) { cursor description } }',
    'subscription($id: ID!) { deploymentUpdated(deploymentId: $id) { id status } }',
    'subscription($id: ID!) { metricsUpdated(deploymentId: $id) { __typename } }',
  ]);
  return { query, variables: { id: deploymentId, after } };
}

const MANNERS: Readonly<Record<string, (visit: Visit) => Promise<void>>> = {
  'WebSocket: completes and says goodbye': async (visit) => {
    const socket = await subscribed(visit);
    await linger(visit);
    socket.send(JSON.stringify({ id: '1', type: 'complete' }));
    socket.close(1000);
    await once(socket, 'close');
  },
  'WebSocket: closes in the middle of its feed': async (visit) => {
    const socket = await subscribed(visit);
    await linger(visit);
    socket.close(1000);
    await once(socket, 'close');
  },
  'WebSocket: vanishes in the middle of its feed': async (visit) => {
    const socket = await subscribed(visit);
    await linger(visit);
    socket.terminate();
  },
  'WebSocket: vanishes while it subscribes': async (visit) => {
    const socket = await subscribed(visit);
    socket.terminate();
  },
  'WebSocket: vanishes before it is acknowledged': async ({ url }) => {
    const socket = await opened(url);
    socket.send('{"type":"connection_init"}', () => socket.terminate());
    await once(socket, 'close');
  },
  'WebSocket: vanishes half way through connection_init': async ({ url }) => {
    const link = connect(Number(new URL(url).port), '127.0.0.1');
    link.on('error', () => {});
    link.write(upgrade());
    await once(link, 'data');
    // A frame of 28 masked bytes of which ten come.
    link.write(Buffer.from([0x81, 0x9c, 0, 0, 0, 0, ...Buffer.from('{"type":"c')]), () => link.destroy());
    await once(link, 'close');
  },
  'WebSocket: vanishes half way through the handshake': async ({ url }) => {
    const link = connect(Number(new URL(url).port), '127.0.0.1');
    link.on('error', () => {});
    link.write(upgrade().slice(0, 90), () => link.destroy());
    await once(link, 'close');
  },
  'SSE: leaves after its feed began': async (visit) => {
    const { response } = await streamed(visit);
    await linger(visit);
    response.destroy();
  },
  'SSE: leaves before it is answered': async (visit) => {
    const asked = ask(visit);
    await new Promise<void>((sent) => asked.once('finish', sent));
    await sleep(visit.random.below(5));
    asked.destroy();
  },
  'SSE: vanishes half way through its request': async ({ url }) => {
    const link = connect(Number(new URL(url).port), '127.0.0.1');
    link.on('error', () => {});
    const head = 'POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n';
    link.write(`${head}content-type: application/json\r\ncontent-length: 500\r\n\r\n{"query":"subs`, () =>
      link.destroy(),
    );
    await once(link, 'close');
  },
};

/** So many connects and disconnects, spread over the nodes. Answers how often each manner was shown. */
export async function visit(
  nodes: readonly [SerinNode, ...SerinNode[]],
  { count, random, deploymentId, after }: VisitOptions,
): Promise<ReadonlyMap<string, number>> {
  const manners = new Map<string, number>();
  const names = Object.keys(MANNERS);
  let begun = 0;
  const visitor = async () => {
    while (begun < count) {
      const name = names[begun % names.length] ?? '';
      begun += 1;
      const { url } = random.pick(nodes);
      await MANNERS[name]?.({ url, random, payload: payloadOf(random, deploymentId(), after) });
      manners.set(name, (manners.get(name) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visitor));
  return manners;
}

export interface VisitOptions {
  readonly count: number;
  readonly random: Random;
  /** The deployment that a visitor is interested in. */
  readonly deploymentId: () => string;
  /** The cursor that a visitor resumes from. */
  readonly after: string;
}

const linger = ({ random }: Visit) => sleep(random.below(40));

async function opened(url: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open', { signal: AbortSignal.timeout(PATIENCE_MS) });
  socket.on('error', () => {});
  return socket;
}

/** Acknowledged, and its subscription sent. */
async function subscribed({ url, payload }: Visit): Promise<WebSocket> {
  const socket = await opened(url);
  socket.send('{"type":"connection_init"}');
  await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) });
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }));
  return socket;
}

function ask({ url, payload }: Visit): ClientRequest {
  const asked = request(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    agent: false,
  });
  asked.on('error', () => {});
  asked.end(JSON.stringify(payload));
  return asked;
}

async function streamed(visit: Visit): Promise<{ response: IncomingMessage }> {
  const asked = ask(visit);
  const [response] = await once(asked, 'response', { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.statusCode !== 200) throw new Error(`a stream was answered ${response.statusCode}`);
  response.on('error', () => {});
  response.resume();
  return { response };
}

function upgrade(): string {
  return [
    'GET /graphql HTTP/1.1',
    'host: 127.0.0.1',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-protocol: graphql-transport-ws',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ].join('\r\n');
}
