/** The log of a Serin as a client reads it, for tests that move its database elsewhere. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CALM, command, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

/** Nothing happens by itself: the events are those of the test's commands. */
export const STILL = { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 60_000 };

/** A Serin on a cluster's database, whose webhooks may go to this machine. */
export const serinOn = (databaseUrl: string): Promise<TestSerin> =>
  startTestSerin({ databaseUrl, webhookNetworks: ['127.0.0.0/8'] });

export const still = (serin: TestSerin, strategyId: string): Promise<string> =>
  running(serin, { strategyId, config: STILL });

export interface Read {
  readonly id: string;
  readonly cursor: string;
  readonly no: number;
  readonly deploymentId: string;
}

const EVENTS = `query($after: String) { events(first: 200, after: $after) { edges { node { id cursor no deploymentId } } } }`;
const REVISIONS = EVENTS.replace('no deploymentId', 'no deploymentId revision');

/** Everything after a cursor. */
export async function eventsAfter(serin: TestSerin, after: string): Promise<Read[]> {
  const { events } = await serin.ask(EVENTS, { after });
  return events.edges.map(({ node }: { node: Read }) => node);
}

/** Everything that there is, with the revisions. */
export async function wholeLog(serin: TestSerin): Promise<(Read & { readonly revision: number })[]> {
  const log: (Read & { readonly revision: number })[] = [];
  for (;;) {
    const { events } = await serin.ask(REVISIONS, { after: log.at(-1)?.cursor ?? '0' });
    if (events.edges.length === 0) return log;
    log.push(...events.edges.map(({ node }: { node: Read & { revision: number } }) => node));
  }
}

/** The error that a cursor is refused with. */
export async function refusedAt(serin: TestSerin, after: string): Promise<Data> {
  const { errors } = await serin.post(EVENTS, { after });
  return errors?.[0];
}

/** Changes a deployment so many times; each is one event. */
export async function change(serin: TestSerin, id: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const name = time % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment';
    const { success, message } = await command(serin, name, id);
    if (!success) throw new Error(message);
  }
}

export const FEED =
  'subscription($after: String) { eventAppended(after: $after) { id cursor no deploymentId } }';

/** Waits for what takes up to a few seconds by its nature: a node that finds another server. */
export async function eventually<T>(
  read: () => Promise<T | null | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await read().catch(() => null);
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${read.toString()}`);
    await sleep(50);
  }
}
