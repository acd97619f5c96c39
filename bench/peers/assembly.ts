/** Serin's parts on a database, for the peers that put them together in another way than Serin does. */
import { pino } from 'pino';
import { createAccess } from '../../src/access/access.ts';
import { openActor } from '../../src/access/actor.ts';
import { createCommands } from '../../src/app/commands.ts';
import type { App } from '../../src/app/context.ts';
import { createCommandQuota } from '../../src/app/execution/commandQuota.ts';
import { createDeploymentQueue } from '../../src/app/execution/deploymentQueue.ts';
import { createFairShare } from '../../src/app/execution/fairShare.ts';
import { createHeavyReads } from '../../src/app/execution/heavyReads.ts';
import { createRefusalAudit } from '../../src/app/execution/refusalAudit.ts';
import { createRefusalQuota } from '../../src/app/execution/refusalQuota.ts';
import { createHeartbeats } from '../../src/app/heartbeats.ts';
import { createReports } from '../../src/app/reports.ts';
import { FORM } from '../../src/core/lifecycle/forms.ts';
import { createFeed } from '../../src/feed/feed.ts';
import { startTail } from '../../src/feed/tail.ts';
import type { Context } from '../../src/graphql/builder.ts';
import { createLoaders, readsFrom } from '../../src/graphql/loaders.ts';
import { ALWAYS_PRESENT } from '../../src/server/pipeline/callerPresence.ts';
import { createSimulator } from '../../src/simulation/simulator.ts';
import { createPolicyWarnings } from '../../src/simulation/warnings.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { createNotifier } from '../../src/store/postgres/notifier.ts';

const anonymous = openActor('anonymous');

export async function assemble(url: string) {
  const log = pino({ level: 'error' });
  const { db, client, pool } = openDatabase({ url });
  const doorbell = createNotifier(client);
  const simulator = createSimulator(log);
  const policyWarnings = createPolicyWarnings(simulator, log);
  const refuseTarget = async () => null;
  const providerNames = new Set<string>();
  const turns = createDeploymentQueue();
  const app: App = {
    db,
    notifier: doorbell,
    inDeploymentOrder: turns,
    form: () => FORM,
    onEvents: () => {},
    onBatchFailure: ({ error }) => log.error(error),
    onHalt: () => {},
    providerNames,
    refuseTarget,
    log,
    simulator,
    policyWarnings,
    approvals: { callersKnown: false, strategies: [] },
    fairShare: createFairShare(),
    heavyReads: createHeavyReads(),
    refusalQuota: createRefusalQuota(),
    commandQuota: createCommandQuota(),
    refusalAudit: createRefusalAudit(),
  };
  const feed = createFeed(db, await startTail(db, doorbell, log), log);
  const access = createAccess(db, log, { keys: false, tokens: null, botsReduceRisk: true });
  const commands = createCommands(app);
  const reports = createReports(app);
  const heartbeats = createHeartbeats(app, commands);
  const reads = readsFrom(db);
  const loadersFor = createLoaders(reads);
  /** The context of an operation. */
  const contextOf = (): Context => ({
    access,
    app,
    feed,
    commands,
    reports,
    heartbeats,
    actor: anonymous,
    reads,
    loaders: loadersFor(anonymous),
    position: { at: null },
    list: { parts: 'ALL', about: null, isShown: () => false },
    presence: ALWAYS_PRESENT,
  });
  return { access, app, feed, commands, heartbeats, log, pool, contextOf };
}
