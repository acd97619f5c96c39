/** A bare `ws` server that sends the same bytes to all of its clients whenever it is asked to over HTTP. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { sayReady } from '../harness/child.ts';
import { listenAnywhere } from './listen.ts';

const [message = ''] = process.argv.slice(2);
const server = createServer((request, response) => {
  request.resume();
  response.end('{}');
  for (const client of sockets.clients) client.send(message);
});
const sockets = new WebSocketServer({ server });
sayReady(await listenAnywhere(server));
