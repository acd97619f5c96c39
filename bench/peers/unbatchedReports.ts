/** Serin without the batching of concurrent reports: each is written by a statement and a commit of its own. */

import type { Reports } from '../../src/app/reports.ts';
import { readEnvironment } from '../../src/environment/environment.ts';
import { startHttpServer } from '../../src/server/http/httpServer.ts';
import { createAdmission } from '../../src/server/pipeline/admission.ts';
import { createClientAddresses } from '../../src/server/pipeline/clientAddresses.ts';
import { createGraphQLServer } from '../../src/server/pipeline/pipeline.ts';
import { createSubscriptionQuota } from '../../src/server/pipeline/subscriptionQuota.ts';
import { createMetrics } from '../../src/server/telemetry/prometheus.ts';
import { upsertReports } from '../../src/store/deployments/sideMetrics.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';

const [databaseUrl = ''] = process.argv.slice(2);
const { access, app, feed, commands, log, pool } = await assemble(databaseUrl);
const reports: Reports = {
  async take(_actor, report) {
    const [taken] = await upsertReports(app.db, [report]);
    if (!taken) throw new Error(`${report.deploymentId} takes no reports`);
    return null;
  },
};
const metrics = createMetrics({
  db: app.db,
  pool,
  feed: { lagMs: () => 0, held: () => null, consumers: feed.consumers },
});
const { http, host } = readEnvironment({ NODE_ENV: 'production' });
const subscriptionQuota = createSubscriptionQuota(http.limits.subscriptionsPerKey);
const graphql = createGraphQLServer({
  access,
  subscriptionQuota,
  app,
  feed,
  commands,
  reports,
  log,
  timeScale: 1,
  httpSettings: http,
  metrics,
  tracing: null,
});
const addresses = createClientAddresses(http);
const parts = {
  access,
  feed,
  log,
  graphql,
  addresses,
  subscriptionQuota,
  admission: createAdmission({
    settings: http,
    addresses,
    open: access.open,
    onRefusal: metrics.countRefused,
  }),
  settings: http,
  metrics,
  readiness: async () => ({ missing: null, warnings: [] }),
};
const { url } = await startHttpServer(parts, host, 0);
sayReady(url);
