/**
 * Serin's schema behind stock Yoga, as its documentation has it: `createServer(yoga)`, and a DataLoader for every
 * request; or, started with `shared`, with Serin's loaders, which read for many requests at once.
 */
import { createServer } from 'node:http';
import DataLoader from 'dataloader';
import { createYoga } from 'graphql-yoga';
import { trusted } from '../../src/access/actor.ts';
import { createReports } from '../../src/app/reports.ts';
import { createLoaders } from '../../src/graphql/loaders.ts';
import { schema } from '../../src/graphql/schema.ts';
import { type DeploymentView, findDeployments } from '../../src/store/deployments.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';
import { listenAnywhere } from './listen.ts';

const [url = '', loading] = process.argv.slice(2);
const { access, app, feed } = await assemble(url);
const reports = createReports(app);
const actor = trusted('anonymous');
const loadersFor = createLoaders(app.db);
const loaderOfRequest = () =>
  new DataLoader<string, DeploymentView | null>(async (ids) => {
    const found = new Map((await findDeployments(app.db, ids)).map((view) => [view.state.id, view]));
    return ids.map((id) => found.get(id) ?? null);
  });
const yoga = createYoga({
  schema,
  logging: false,
  context: () => ({
    access,
    app,
    feed,
    reports,
    actor,
    loaders:
      loading === 'shared' ? loadersFor(actor) : { ...loadersFor(actor), deployment: loaderOfRequest() },
    place: { at: null },
  }),
});
sayReady(await listenAnywhere(createServer(yoga)));
