/** A steady load on every node: operators, bots, those who listen, and a webhook that takes what it is sent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { operate, post, report, type World } from '../faults/clients.ts';
import type { SerinNode } from '../faults/nodes.ts';
import type { Random } from '../faults/random.ts';

const OPERATORS = 3;
/** Deployments that are live at a time, about: more are not steady. */
const LIVE = 40;
/** On each node, over each transport. */
const LISTENERS = 6;

/** Operators, bots, and somebody who ends what is old, until the world ends. */
export async function work(world: World, random: Random): Promise<void> {
  await Promise.all([
    ...Array.from({ length: OPERATORS }, () => operate(world, random.fork())),
    report(world, random.fork(), 'CANARY'),
    report(world, random.fork(), 'STABLE'),
    endOld(world),
  ]);
}

async function endOld({ nodes, known, ending }: World): Promise<void> {
  const cancel = 'mutation($input: CancelDeploymentInput!) { cancelDeployment(input: $input) { success } }';
  while (!ending.aborted) {
    await sleep(50);
    while (known.length > LIVE) await post(nodes[0], 'janitor', cancel, { deploymentId: known.shift() });
  }
}

export interface Listeners {
  /** Deliveries to all of them. */
  heard(): number;
  leave(): Promise<void>;
}

/** Listens to the whole log from now on, on every node, over WebSocket (executed once for all) and over SSE. */
export function listen(nodes: readonly SerinNode[], onFault: (why: string) => void): Listeners {
  const query = 'subscription { eventAppended { cursor type description } }';
  let heard = 0;
  const leaving = new AbortController();
  const sockets = nodes.flatMap(({ url }) =>
    Array.from({ length: LISTENERS }, () => {
      const client = createClient({
        url: `${url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
      });
      const next = () => {
        heard += 1;
      };
      const error = (why: unknown) => {
        if (!leaving.signal.aborted) onFault(`a WebSocket ended: ${JSON.stringify(why)}`);
      };
      client.subscribe({ query }, { next, error, complete() {} });
      return client;
    }),
  );
  const streams = nodes.flatMap(({ url }) =>
    Array.from({ length: LISTENERS }, async () => {
      try {
        const response = await fetch(`${url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
          body: JSON.stringify({ query }),
          signal: leaving.signal,
        });
        for await (const chunk of response.body ?? []) {
          heard += Buffer.from(chunk).toString().split('event: next').length - 1;
        }
        onFault('an SSE stream ended');
      } catch (error) {
        if (!leaving.signal.aborted) onFault(`an SSE stream broke: ${error}`);
      }
    }),
  );
  return {
    heard: () => heard,
    async leave() {
      leaving.abort();
      for (const client of sockets) await client.dispose();
      await Promise.all(streams);
    },
  };
}

export interface Receiver {
  readonly url: string;
  /** Messages that came, each counted once. */
  messages(): number;
  close(): Promise<void>;
}

/** Takes every message of a webhook and keeps no more than its id. */
export async function startReceiver(): Promise<Receiver> {
  const ids = new Set<unknown>();
  const server = createServer((request, response) => {
    ids.add(request.headers['webhook-id']);
    request.resume().once('end', () => response.writeHead(204).end());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    messages: () => ids.size,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
