/** Serin without the batching of concurrent reports: each is written by a statement and a commit of its own. */

import type { Reports } from '../../src/app/reports.ts';
import { applyReport } from '../../src/core/metrics/sideMetrics.ts';
import { readEnvironment } from '../../src/environment/environment.ts';
import { httpPlugins } from '../../src/server/http/graphqlHttp.ts';
import { startHttpServer } from '../../src/server/http/httpServer.ts';
import { createAdmission } from '../../src/server/pipeline/admission.ts';
import { createClientAddresses } from '../../src/server/pipeline/clientAddresses.ts';
import { createGraphQLServer } from '../../src/server/pipeline/pipeline.ts';
import { createSubscriptionQuota } from '../../src/server/pipeline/subscriptionQuota.ts';
import { createMetrics } from '../../src/server/telemetry/prometheus.ts';
import { lockSides, writeSides } from '../../src/store/deployments/sideMetrics.ts';
import { sayReady } from '../harness/child.ts';
import { assemble } from './assembly.ts';

const [databaseUrl = ''] = process.argv.slice(2);
const { access, app, feed, commands, heartbeats, log, pool } = await assemble(databaseUrl);
const reports: Reports = {
  async take(_actor, report) {
    const { deploymentId, side } = report;
    const [stored] = await lockSides(app.db, [report]);
    if (!stored) throw new Error(`${deploymentId} takes no reports`);
    const { now, version, record } = stored;
    const metrics = applyReport(record.metrics, report.report, now);
    const reporter = { name: 'bench', subject: null };
    await writeSides(app.db, [{ deploymentId, side, metrics, run: null, version, reporter }]);
    return { refusal: null, stale: false, now, leaseSeconds: null };
  },
};
const metrics = createMetrics({
  db: app.db,
  pool,
  providerNames: [],
  feed: { lagMs: () => 0, held: () => null, consumers: feed.consumers },
  replica: null,
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
  heartbeats,
  log,
  timeScale: 1,
  httpSettings: http,
  httpPlugins: httpPlugins(),
  replica: null,
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
    bodies: { take: () => true, stop: () => {} },
    settings: http,
    addresses,
    open: access.open,
    onRefusal: metrics.countRefused,
  }),
  settings: http,
  metrics,
  readiness: async () => ({ missing: null, warnings: [], replica: null }),
};
const { url } = await startHttpServer(parts, host, 0);
sayReady(url);
