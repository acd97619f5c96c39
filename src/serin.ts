/** Assembles Serin: starts and stops the database, the observation loop, the feeds and the server together. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createAccess, FIRST_KEY, isOpen } from './access/access.ts';
import { createCommands } from './app/commands.ts';
import type { App } from './app/context.ts';
import { createCommandQuota } from './app/execution/commandQuota.ts';
import { createDeploymentQueue } from './app/execution/deploymentQueue.ts';
import { createFairShare } from './app/execution/fairShare.ts';
import { createHeavyReads } from './app/execution/heavyReads.ts';
import { createRefusalAudit } from './app/execution/refusalAudit.ts';
import { createRefusalQuota } from './app/execution/refusalQuota.ts';
import { createHeartbeats } from './app/heartbeats.ts';
import { createReports } from './app/reports.ts';
import { describeViolations } from './core/values/violation.ts';
import { checkBindSafety } from './environment/bindSafety.ts';
import { BadEnvironment, type Environment } from './environment/environment.ts';
import { createFeed } from './feed/feed.ts';
import { startTail } from './feed/tail.ts';
import { startAnswerKeeper } from './monitor/answerKeeper.ts';
import { startAuditSealer } from './monitor/auditSealer.ts';
import { startBudgetLoop } from './monitor/budgetLoop.ts';
import { startClockWatch } from './monitor/clockWatch.ts';
import { startDeadlineLoop } from './monitor/deadlineLoop.ts';
import { joinNodes } from './monitor/nodeRegistry.ts';
import { type LoopWatchers, startLoop } from './monitor/observationLoop.ts';
import { startPartitionKeeper } from './monitor/partitions.ts';
import { startRetention } from './monitor/retention.ts';
import { loadProviders } from './providers/providers.ts';
import { readReadiness, watchSchema } from './readiness.ts';
import { httpPlugins } from './server/http/graphqlHttp.ts';
import { startHttpServer } from './server/http/httpServer.ts';
import { createAdmission } from './server/pipeline/admission.ts';
import { createBodiesInFlight } from './server/pipeline/bodiesInFlight.ts';
import { createClientAddresses } from './server/pipeline/clientAddresses.ts';
import { createGraphQLServer } from './server/pipeline/pipeline.ts';
import { createSubscriptionQuota } from './server/pipeline/subscriptionQuota.ts';
import { createLog } from './server/telemetry/logger.ts';
import { createMetrics, type Metrics } from './server/telemetry/prometheus.ts';
import type { Tracing } from './server/telemetry/tracing.ts';
import { createSimulator } from './simulation/simulator.ts';
import { createPolicyWarnings } from './simulation/warnings.ts';
import { hasApiKeys } from './store/access/apiKeys.ts';
import { startEmbeddedPostgres } from './store/embedded/embeddedPostgres.ts';
import { allDone } from './store/postgres/allDone.ts';
import {
  type Database,
  migrateDatabase,
  openDatabase,
  readClock,
  setClockRate,
} from './store/postgres/database.ts';
import { createNotifier } from './store/postgres/notifier.ts';
import { checkReplicaAddress, openReplica, type Replica } from './store/postgres/replica.ts';
import { startDeliverer } from './webhooks/deliverer.ts';
import { createTargets } from './webhooks/targets.ts';

export interface Serin {
  /** Its address: `http://HOST:PORT`. */
  readonly url: string;
  /** Whether callers need no credentials. */
  readonly open: boolean;
  /** Drains and stops everything, the database last. */
  stop(): Promise<void>;
}

/** Timeout for stopping a part, for when the database is away. Another node takes over unfinished work. */
const STOP_PART_MS = 2000;
/** The stages of a stop: workers, their dependencies, the connections to the database, the embedded database. */
const STAGES = ['work', 'needs', 'connections', 'database'] as const;

type Stop = () => Promise<void>;
type Stage = (typeof STAGES)[number];

const withStopTimeout =
  (stop: Stop): Stop =>
  () =>
    Promise.race([stop(), sleep(STOP_PART_MS, undefined, { ref: false })]);

/** Starts Serin. If a part fails to start, or the start is aborted, the parts started before it are stopped. */
export async function startSerin(
  environment: Environment,
  signal?: AbortSignal,
  log = createLog(environment),
): Promise<Serin> {
  const parts: Record<Stage, Stop[]> = { work: [], needs: [], connections: [], database: [] };
  /** The parts of a stage stop concurrently, so that only the timeouts of the stages add up. */
  const stop = async () => {
    const cleanly = (stopPart: Stop) =>
      stopPart().catch((error: unknown) => log.error({ error }, 'a part did not stop cleanly'));
    for (const stage of STAGES) await Promise.all(parts[stage].splice(0).map(cleanly));
  };
  try {
    if (isOpen(environment.access)) await checkBindSafety(environment.host);
    const providers = await loadProviders(environment.providersFile);
    if (!providers.ok) {
      throw new BadEnvironment(`SERIN_PROVIDERS: ${describeViolations(providers.violations)}`);
    }
    const database = await connect();
    const { db, client } = database;
    const timeScale = await clockRate(db);
    const replica = environment.replica === null ? null : startReplica(environment.replica, database);
    const notifier = createNotifier(client);
    // Each waits for the database: together they wait once.
    const [readDamage, , registry, tail] = await allDone([
      watchSchema(database, log),
      startPartitionKeeper({ db, log }).then((keeper) => keep('work', keeper)),
      joinNodes(db, log).then((nodes) => keep('needs', nodes)),
      startTail(db, notifier, log).then((started) => keep('needs', started)),
    ]);
    const providerNames = new Set(providers.value.keys());
    const simulator = createSimulator(log);
    parts.needs.push(() => simulator.stop());
    const policyWarnings = createPolicyWarnings(simulator, log);
    const targets = createTargets(environment.webhookNetworks);
    const refuseTarget = targets.refuse;
    const inDeploymentOrder = createDeploymentQueue();
    const feed = createFeed(db, tail, log);
    parts.needs.push(async () => feed.stop());
    const metrics = createMetrics({
      db,
      providerNames,
      pool: database.pool,
      feed: { lagMs: tail.lagMs, held: tail.blockedBy, consumers: feed.consumers },
      replica,
    });
    const app: App = {
      db,
      notifier,
      inDeploymentOrder,
      form: registry.form,
      onEvents: metrics.countEvents,
      onHalt: metrics.countHalt,
      onBatchFailure(failure) {
        metrics.countBatchFailure(failure.kind);
        log.warn(failure, 'a batch failed: each of its items runs in its own transaction');
      },
      providerNames,
      refuseTarget,
      heavyReads: createHeavyReads(),
      fairShare: createFairShare(),
      refusalQuota: createRefusalQuota(),
      commandQuota: createCommandQuota(),
      refusalAudit: createRefusalAudit(),
      approvals: { callersKnown: !isOpen(environment.access), strategies: environment.requireApproval },
      log,
      simulator,
      policyWarnings,
    };
    const tracing = await startTraces();
    const watchers = watchLoop(metrics, tracing);
    keep('work', startLoop({ app, providers: providers.value, log, timeScale, watchers }));
    keep('work', startDeadlineLoop({ app, log }));
    const commands = createCommands(app);
    keep('work', startBudgetLoop({ app, commands, log, onTrip: metrics.countBudgetTrip }));
    const clock = keep('work', startClockWatch({ db, log, onStep: metrics.countClockStep }));
    keep('work', startAnswerKeeper({ db, log }));
    keep('work', startAuditSealer({ db, log, refusals: app.refusalAudit }));
    const { retentionDays } = environment;
    if (retentionDays !== null) keep('work', startRetention({ db, log, days: retentionDays, timeScale }));
    keep('work', startDeliverer({ db, tail, targets, log, onAttempt: metrics.countAttempt }));
    const { http, host } = environment;
    const access = createAccess(db, log, environment.access);
    parts.needs.push(async () => access.stop());
    if (environment.access.keys && !(await hasApiKeys(db))) log.warn(`There is no API key yet: ${FIRST_KEY}`);
    const subscriptionQuota = createSubscriptionQuota(http.limits.subscriptionsPerKey);
    const graphql = createGraphQLServer({
      access,
      subscriptionQuota,
      app,
      feed,
      commands,
      reports: createReports(app),
      heartbeats: createHeartbeats(app, commands),
      log,
      timeScale,
      httpSettings: http,
      httpPlugins: httpPlugins(),
      replica,
      metrics,
      tracing,
    });
    const addresses = createClientAddresses(http);
    const bodies = createBodiesInFlight(http.limits);
    parts.needs.push(async () => bodies.stop());
    const admission = createAdmission({
      settings: http,
      addresses,
      bodies,
      open: access.open,
      onRefusal: metrics.countRefused,
    });
    const readiness = () => readReadiness({ database, readDamage, tail, clock, replica });
    const httpServer = await startHttpServer(
      {
        access,
        feed,
        graphql,
        admission,
        addresses,
        subscriptionQuota,
        settings: http,
        log,
        metrics,
        readiness,
      },
      host,
      environment.port,
    );
    parts.work.push(() => httpServer.stop());
    return { url: httpServer.url, open: access.open, stop };
  } catch (error) {
    await stop();
    throw error;
  }

  /** Stops a part that has started at its stage, within {@link STOP_PART_MS}. Returns the part. */
  function keep<T extends { stop(): Promise<void> }>(stage: Stage, part: T): T {
    parts[stage].push(withStopTimeout(() => part.stop()));
    return part;
  }

  /** Migrates the database and opens it; without an address it starts Serin's own. */
  async function connect(): Promise<Database> {
    const { databaseUrl, databaseSchema, poolSize } = environment;
    const options =
      databaseUrl === null
        ? { url: await startOwnDatabase(), poolSize }
        : { url: databaseUrl, poolSize, schema: databaseSchema, variables: process.env };
    signal?.throwIfAborted();
    await migrateDatabase(options, log, signal);
    signal?.throwIfAborted();
    const database = openDatabase(options);
    parts.connections.push(withStopTimeout(() => database.close()));
    return database;
  }

  /** Seconds of Serin's clock per real second, as the environment sets them or the database has them. */
  async function clockRate(db: Database['db']): Promise<number> {
    if (environment.timeScale !== null) await setClockRate(db, environment.timeScale);
    const { rate } = await readClock(db);
    if (environment.production && rate !== 1) {
      throw new BadEnvironment(
        `This database's clock runs at ${rate} times real time: set SERIN_TIME_SCALE=1, which production requires`,
      );
    }
    return rate;
  }

  /** Reads that need not be of this moment; the node works without it, too. */
  function startReplica({ url, maxLagMs }: NonNullable<Environment['replica']>, primary: Database): Replica {
    for (const warning of checkReplicaAddress(url, process.env)) log.warn(warning);
    const replica = openReplica({
      url,
      maxLagMs,
      primary,
      schema: primary.schema,
      variables: process.env,
      poolSize: environment.poolSize,
      onChange(problem) {
        if (problem === null) log.info('lists, exports and series are read from the replica');
        else log.warn({ problem }, 'all reads go to the primary');
      },
    });
    return keep('connections', replica);
  }

  /** Loads OpenTelemetry only if a collector is configured. */
  async function startTraces(): Promise<Tracing | null> {
    if (environment.tracesEndpoint === null) return null;
    const { startTracing } = await import('./server/telemetry/tracing.ts');
    return keep('needs', startTracing(environment.tracesEndpoint, 'serin'));
  }

  async function startOwnDatabase(): Promise<string> {
    const own = await startEmbeddedPostgres({
      dataDir: environment.dataDir,
      ...(signal ? { signal } : {}),
      onLog: (line) => log.debug({ postgres: line }),
      onWarning: (line) => log.warn(line),
    });
    parts.database.push(() => own.stop());
    return own.url;
  }
}

/** Counts and traces what the loop does. */
function watchLoop(metrics: Metrics, tracing: Tracing | null): LoopWatchers {
  return {
    onFetch: metrics.countFetch,
    onCheck(deploymentId, events, ms) {
      if (events) metrics.countCheck(events);
      else metrics.countFailedCheck();
      const types = events?.map(({ type }) => type) ?? [];
      tracing?.check({ deploymentId, events: types, failed: events === null, ms });
    },
  };
}
