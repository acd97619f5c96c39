/** Serin's schema and feed behind graphql-ws as its documentation has it: every subscriber is executed for itself. */
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { trusted } from '../../src/access/actor.ts';
import { createReports } from '../../src/app/reports.ts';
import { createLoaders } from '../../src/graphql/loaders.ts';
import { schema } from '../../src/graphql/schema.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';
import { listenAnywhere } from './listen.ts';

const [databaseUrl = ''] = process.argv.slice(2);
const { access, app, feed } = await assemble(databaseUrl);
const reports = createReports(app);
const actor = trusted('anonymous');
const loadersFor = createLoaders(app.db);
const server = createServer();
const sockets = new WebSocketServer({ server, path: '/graphql' });
const context = () => ({
  access,
  app,
  feed,
  reports,
  actor,
  loaders: loadersFor(actor),
  place: { at: null },
});
useServer({ schema, context }, sockets);
sayReady(await listenAnywhere(server));
