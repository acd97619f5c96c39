/**
 * Serin's schema behind stock Yoga, as its documentation has it: `createServer(yoga)`, and a DataLoader for every
 * request; or, started with `shared`, with Serin's loaders, which read for many requests together.
 */
import { createServer } from 'node:http';
import DataLoader from 'dataloader';
import { createYoga } from 'graphql-yoga';
import { schema } from '../../src/graphql/schema.ts';
import { type DeploymentView, findDeployments } from '../../src/store/deployments/deployments.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';
import { listenAnywhere } from './listen.ts';

const [url = '', loading] = process.argv.slice(2);
const { app, contextOf } = await assemble(url);
const loaderOfRequest = () =>
  new DataLoader<string, DeploymentView | null>(async (ids) => {
    const found = new Map((await findDeployments(app.db, ids)).map((view) => [view.state.id, view]));
    return ids.map((id) => found.get(id) ?? null);
  });
const yoga = createYoga({
  schema,
  logging: false,
  context() {
    const context = contextOf();
    if (loading === 'shared') return context;
    return { ...context, loaders: { ...context.loaders, deployment: loaderOfRequest() } };
  },
});
sayReady(await listenAnywhere(createServer(yoga)));
