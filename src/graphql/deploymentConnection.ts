/** Deployments as pages: by date of creation, start or end, in both directions. */
import { observationOf } from '../core/lifecycle/state.ts';
import {
  countDeployments,
  type DeploymentFilter,
  type DeploymentOrder,
  type PageRequest,
  type Position,
  pageDeployments,
} from '../store/deployments/deploymentPages.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder, type Context, type Reads } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { paceOf, READS } from './fairTurns.ts';
import { type Connection, type PageArgs, readCursor, readPage, toConnection } from './paging.ts';

interface DeploymentPage extends Connection<DeploymentView> {
  readonly filter: DeploymentFilter;
}

export const DeploymentConnection = connectionType<DeploymentPage>('CanaryDeployment', DeploymentRef, {
  one: 'a deployment',
  many: 'deployments',
  cursor: 'Cursor of this item; valid for this order only.',
});

builder.objectField(DeploymentConnection, 'totalCount', (t) =>
  t.int({
    description: 'Total number of matching deployments; counted only if requested.',
    extensions: READS,
    resolve: ({ filter }, _args, { reads }) => countDeployments(reads.db, filter),
  }),
);

/** The position of a deployment in an order, for its cursor. */
function positionIn(by: DeploymentOrder, { state }: DeploymentView): Position {
  const at = {
    CREATED_AT: state.createdAt,
    STARTED_AT: observationOf(state)?.startedAt ?? null,
    ENDED_AT: 'endedAt' in state ? state.endedAt : null,
  }[by];
  return { at, id: state.id };
}

function formatPosition(by: DeploymentOrder, { at, id }: Position): string {
  return Buffer.from(JSON.stringify([by, at, id])).toString('base64url');
}

function parsePosition(by: DeploymentOrder, cursor: string): Position | null {
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (!Array.isArray(read) || read.length !== 3 || read[0] !== by) return null;
    const [, at, id]: unknown[] = read;
    if (typeof id !== 'string' || (at !== null && !Number.isSafeInteger(at))) return null;
    return { at: at === null ? null : Number(at), id };
  } catch {
    return null;
  }
}

/** A page of deployments as they are read, on the clock of the primary. */
async function readPageOfViews({ db, now }: Reads, page: PageRequest): Promise<DeploymentView[]> {
  const found = await pageDeployments(db, page);
  const at = now?.();
  return at === undefined ? found : found.map((view) => ({ ...view, now: at }));
}

/** The page that a connection's arguments ask for. */
export async function pageOf(
  context: Pick<Context, 'reads' | 'app' | 'actor'>,
  args: PageArgs,
  filter: DeploymentFilter,
  order: PageRequest['order'],
): Promise<DeploymentPage> {
  const page = readPage(args);
  const { by } = order;
  const found = await readPageOfViews(context.reads, {
    filter,
    order,
    limit: page.limit + 1,
    after: readCursor('after', args.after, (cursor) => parsePosition(by, cursor)),
    before: readCursor('before', args.before, (cursor) => parsePosition(by, cursor)),
    fromEnd: page.fromEnd,
    pace: paceOf(context),
  });
  const cursorOf = (view: DeploymentView) => formatPosition(by, positionIn(by, view));
  return { ...toConnection(found, page, args, cursorOf), filter };
}
