/** A bare `node:http` server that answers every request with the same bytes: what HTTP itself costs. */
import { createServer } from 'node:http';
import { sayReady } from '../harness/child.ts';
import { listenAnywhere } from './listen.ts';

const [body = '{}'] = process.argv.slice(2);
const server = createServer((request, response) => {
  // The request's body is read, as any server must.
  request.resume();
  request.on('end', () => {
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': body.length,
    });
    response.end(body);
  });
});
sayReady(await listenAnywhere(server));
