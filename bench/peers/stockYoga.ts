/** Serin's schema behind stock Yoga, as its documentation has it: `createServer(yoga)`. */
import { createServer } from 'node:http';
import { createYoga } from 'graphql-yoga';
import { trusted } from '../../src/access/actor.ts';
import { createReports } from '../../src/app/reports.ts';
import { createLoaders } from '../../src/graphql/loaders.ts';
import { schema } from '../../src/graphql/schema.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';
import { listenAnywhere } from './listen.ts';

const [url = ''] = process.argv.slice(2);
const { access, app, feed } = await assemble(url);
const reports = createReports(app);
const actor = trusted('anonymous');
const yoga = createYoga({
  schema,
  logging: false,
  context: () => ({
    access,
    app,
    feed,
    reports,
    actor,
    loaders: createLoaders(app.db, actor),
    place: { at: null },
  }),
});
sayReady(await listenAnywhere(createServer(yoga)));
