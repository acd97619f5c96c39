/** Serin's schema and feed behind graphql-ws as its documentation has it: every subscriber is executed for itself. */
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { schema } from '../../src/graphql/schema.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';
import { listenAnywhere } from './listen.ts';

const [databaseUrl = ''] = process.argv.slice(2);
const { contextOf } = await assemble(databaseUrl);
const server = createServer();
const sockets = new WebSocketServer({ server, path: '/graphql' });
useServer({ schema, context: contextOf }, sockets);
sayReady(await listenAnywhere(server));
