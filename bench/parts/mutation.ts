/**
 * A lifecycle mutation: the row locked and read, the engine's decision, row and event written, and the commit. Held
 * against a transaction for each, as whoever writes straight to the database would have it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { VIEW_TEXT } from '../../src/store/deployments/views.ts';
import { startChild } from '../harness/child.ts';
import { alternate, judge, median, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage, type Stage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const CONNECTIONS = 64;
/** Deployments that each connection changes in turn: of one it may change only so many times a minute. */
const EACH = 16;
/** Connections of a node to its database. */
const POOL = 16;

const operation = (name: 'pause' | 'resume') =>
  `mutation($input: ${name === 'pause' ? 'Pause' : 'Resume'}DeploymentInput!) {
    ${name}Deployment(input: $input) { success decision message deployment { status revision } } }`;
const pauseOrResume = (name: 'pause' | 'resume', deploymentId: string) =>
  JSON.stringify({ query: operation(name), variables: { input: { deploymentId } } });
/** Bodies that pause and resume each of these deployments in turn. */
export const pausesAndResumes = (ids: readonly string[]): string[] =>
  ids.flatMap((id) => [pauseOrResume('pause', id), pauseOrResume('resume', id)]);

/** What a pause or a resume is, statement by statement; each of pgbench's clients has a deployment of its own. */
const SAME_STATEMENTS = `
begin;
select 1 from deployments where id = 'peer-' || :client_id for update;
${VIEW_TEXT.trim().replaceAll(/\s+/g, ' ')} where deployments.id = 'peer-' || :client_id;
update deployments set strategy_id = strategy_id, chain = chain, status = status, revision = revision + 1, event_count = event_count + 1, config = config, detail = detail, breaches = breaches, observation_deadline = observation_deadline, next_check_at = next_check_at, lease_until = null, lease_token = null where id = 'peer-' || :client_id returning event_count as no, strategy_id as strategy \\gset
insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, previous_status, status, payload, born) values ('peer-' || :client_id, :strategy, :no, 'CANARY_PAUSED', clock_timestamp(), 'anonymous', :no, true, 'RUNNING', 'PAUSED', '{"no": 1, "at": "2026-01-01T00:00:00.000Z", "type": "CANARY_PAUSED", "actor": "anonymous", "reason": null, "revision": 1}', (select born from deployments where id = 'peer-' || :client_id));
commit;
`;

/** The same, for one deployment, to be sent as one message: one round trip. */
const inOneRoundTrip = (id: string) => `
begin;
select 1 from deployments where id = '${id}' for update;
${VIEW_TEXT.trim().replaceAll(/\s+/g, ' ')} where deployments.id = '${id}';
update deployments set strategy_id = strategy_id, chain = chain, status = status, revision = revision + 1, event_count = event_count + 1, config = config, detail = detail, breaches = breaches, observation_deadline = observation_deadline, next_check_at = next_check_at, lease_until = null, lease_token = null where id = '${id}';
insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, previous_status, status, payload, born) select id, strategy_id, event_count, 'CANARY_PAUSED', clock_timestamp(), 'anonymous', revision, true, 'RUNNING', 'PAUSED', '{"no": 1, "at": "2026-01-01T00:00:00.000Z", "type": "CANARY_PAUSED", "actor": "anonymous", "reason": null, "revision": 1}', born from deployments where id = '${id}';
commit;
`;
/** Mutations of each round, one after the other. */
const ALONE = 300;

export async function mutation({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  try {
    const { url } = await stage.node();
    const ids = await seedRunning(url, CONNECTIONS * EACH);
    await seedRunning(url, POOL, 'peer');
    const bodies = Array.from({ length: CONNECTIONS }, (_, connection) =>
      pausesAndResumes(ids.slice(connection * EACH, (connection + 1) * EACH)),
    );
    const ours = async () => {
      await resumeAll(url, stage, ids);
      const before = await revisions(stage);
      const { perSecond, total } = await putLoad(load, {
        url: `${url}/graphql`,
        connections: CONNECTIONS,
        seconds,
        bodies,
      });
      const done = (await revisions(stage)) - before;
      if (done !== total) throw new Error(`${total} mutations answered, ${done} are on disk`);
      return perSecond;
    };
    await ours();
    const measured = await alternate(rounds, ours, () => pgbench(stage.databaseUrl, seconds));
    const subject = {
      part: 'mutation',
      work: 'lifecycle mutation over HTTP (pause, resume)',
      against: `pgbench, the same statements, ${POOL} connections, durable`,
      unit: 'commits/s',
      bound: { atLeast: 0.8 },
    };
    await resumeAll(url, stage, ids);
    // The driver takes BEGIN in a text only where there is one connection.
    const direct = postgres(stage.databaseUrl, { max: 1, onnotice: () => {} });
    const alone = await alternate(
      rounds,
      () =>
        oneAtATime(async (nth) => {
          const input = { deploymentId: ids[Math.floor(nth / 2) % ids.length] };
          const answer = await ask<Record<string, { success: boolean }>>(
            url,
            operation(nth % 2 === 0 ? 'pause' : 'resume'),
            { input },
          );
          if (!Object.values(answer).every(({ success }) => success))
            throw new Error('a mutation was refused');
        }),
      () => oneAtATime(() => direct.unsafe(inOneRoundTrip('peer-1'))),
    );
    await direct.end();
    return [
      judge(subject, measured),
      judge(
        {
          part: 'mutation',
          work: 'one mutation at a time, p50',
          against: 'the same statements in one round trip, durable',
          unit: 'ms',
          bound: { atMost: 2 },
        },
        alone,
      ),
    ];
  } finally {
    await load.stop();
    await stage.close();
  }
}

/** Milliseconds that one takes, the median. */
async function oneAtATime(act: (nth: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let nth = 0; nth < ALONE; nth += 1) {
    const began = performance.now();
    await act(nth);
    times.push(performance.now() - began);
  }
  return median(times);
}

/** A load may end with some deployments paused: every round begins with all of them running. */
async function resumeAll(url: string, stage: Stage, ids: readonly string[]): Promise<void> {
  const paused = await stage.sql<{ id: string }[]>`
    select id from deployments where status = 'PAUSED' and id in ${stage.sql([...ids])}`;
  for (const { id } of paused) {
    const headers = { 'content-type': 'application/json' };
    await fetch(`${url}/graphql`, { method: 'POST', headers, body: pauseOrResume('resume', id) });
  }
}

async function revisions(stage: Stage): Promise<number> {
  const [row] = await stage.sql<{ sum: number }[]>`
    select sum(revision)::float8 as sum from deployments where id like 'bench-%'`;
  return row?.sum ?? 0;
}

async function pgbench(databaseUrl: string, seconds: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'serin-pgbench-'));
  try {
    const file = join(folder, 'mutation.sql');
    await writeFile(file, SAME_STATEMENTS);
    const args = [
      '-n',
      '-M',
      'prepared',
      '-c',
      String(POOL),
      '-j',
      '1',
      '-T',
      String(seconds),
      '-f',
      file,
      databaseUrl,
    ];
    const { stdout } = await promisify(execFile)('pgbench', args);
    const found = /tps = ([\d.]+)/.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`pgbench said: ${stdout}`);
    return Number(found);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw missing ? new Error('pgbench is not installed (Debian: postgresql)') : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
