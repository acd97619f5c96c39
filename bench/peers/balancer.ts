/** A plain TCP balancer, as stands before several nodes: each new connection goes to the next one. */
import { connect, createServer } from 'node:net';
import { sayReady } from '../harness/child.ts';
import { listenAnywhere } from './listen.ts';

const nodes = process.argv.slice(2).map((url) => new URL(url));
let next = 0;
const server = createServer({ noDelay: true }, (client) => {
  const { hostname, port } = nodes[next % nodes.length] ?? new URL('http://127.0.0.1');
  next += 1;
  const node = connect({ host: hostname, port: Number(port), noDelay: true });
  client.pipe(node).pipe(client);
  client.on('error', () => node.destroy());
  node.on('error', () => client.destroy());
});
sayReady(await listenAnywhere(server));
