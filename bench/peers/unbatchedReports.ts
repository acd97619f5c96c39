/** Serin without the batching of concurrent reports: each is written by a statement and a commit of its own. */

import { Registry } from 'prom-client';
import type { Reports } from '../../src/app/reports.ts';
import { createGraphQLServer } from '../../src/server/graphqlServer.ts';
import { startHttpServer } from '../../src/server/httpServer.ts';
import { upsertReports } from '../../src/store/metrics.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';

const [databaseUrl = ''] = process.argv.slice(2);
const { access, app, feed, log } = await assemble(databaseUrl);
const reports: Reports = {
  async take(_actor, report) {
    const [taken] = await upsertReports(app.db, [report]);
    if (!taken) throw new Error(`${report.deploymentId} takes no reports`);
    return null;
  },
};
const yoga = createGraphQLServer({ access, app, feed, reports, log, timeScale: 1, production: true });
const parts = { access, feed, log, yoga, registry: new Registry(), readiness: async () => null };
const { url } = await startHttpServer(parts, '127.0.0.1', 0);
sayReady(url);
