/** Serin's parts on a database, for the peers that put them together in another way than Serin does. */
import { pino } from 'pino';
import { createAccess } from '../../src/access/access.ts';
import { trusted } from '../../src/access/actor.ts';
import { createCommands } from '../../src/app/commands.ts';
import type { App } from '../../src/app/context.ts';
import { createTurns } from '../../src/app/execution/deploymentQueue.ts';
import { createReports } from '../../src/app/reports.ts';
import { createFeed } from '../../src/feed/feed.ts';
import { startTail } from '../../src/feed/tail.ts';
import type { Context } from '../../src/graphql/builder.ts';
import { createLoaders } from '../../src/graphql/loaders.ts';
import { createSimulator } from '../../src/simulation/simulator.ts';
import { createPolicyWarnings } from '../../src/simulation/warnings.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { createDoorbell } from '../../src/store/postgres/notifier.ts';

const anonymous = trusted('anonymous');

export async function assemble(url: string) {
  const log = pino({ level: 'error' });
  const { db, client, pool } = openDatabase({ url });
  const doorbell = createDoorbell(client);
  const simulator = createSimulator(log);
  const policyWarnings = createPolicyWarnings(simulator, log);
  const refuseTarget = async () => null;
  const providerNames = new Set<string>();
  const turns = createTurns();
  const app: App = { db, doorbell, turns, providerNames, refuseTarget, log, simulator, policyWarnings };
  const feed = createFeed(db, await startTail(db, doorbell, log), log);
  const access = createAccess(db, log, { keys: false, tokens: null, botsReduceRisk: true });
  const commands = createCommands(app);
  const reports = createReports(app);
  const loadersFor = createLoaders(db);
  /** The context of an operation. */
  const contextOf = (): Context => ({
    access,
    app,
    feed,
    commands,
    reports,
    actor: anonymous,
    loaders: loadersFor(anonymous),
    place: { at: null },
  });
  return { access, app, feed, commands, log, pool, contextOf };
}
