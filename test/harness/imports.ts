/** Moving deployments between two servers of a test. */
import { expect } from 'vitest';
import type { Data, TestSerin } from './serin.ts';

/** Another server refuses a document from its future: its clock moves on to that of the first one. */
export async function alignClocks(from: TestSerin, to: TestSerin): Promise<void> {
  const time = async ({ database }: TestSerin) =>
    Number((await database.sql`select extract(epoch from serin_now()) as now`)[0]?.now);
  const ahead = (await time(from)) - (await time(to));
  if (ahead > 0) await to.advance(ahead);
}

/** A document as it is after an import: the same, and one event that says who imported it. */
export function imported(document: Data): Data {
  const { events, deployment } = document;
  const last = events.at(-1);
  const revision = deployment.revision + 1;
  const event = { type: 'DEPLOYMENT_IMPORTED', no: last.no + 1, revision, from: last.no };
  return {
    ...document,
    deployment: { ...deployment, revision },
    events: [...events, expect.objectContaining(event)],
  };
}
