/** Deployments as pages: by date of creation, start or end, in both directions. */
import { z } from 'zod';
import { observationOf } from '../core/lifecycle/state.ts';
import {
  countDeployments,
  DEPLOYMENT_ORDERS,
  type DeploymentFilter,
  type DeploymentOrder,
  type PageRequest,
  type Position,
  pageDeployments,
} from '../store/deployments/deploymentPages.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder, type Context, type Reads } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { formatPlace, placeInstant, placeParser, placeText } from './cursors.ts';
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

const parsePosition = placeParser(
  z
    .tuple([z.enum(DEPLOYMENT_ORDERS), placeInstant.nullable(), placeText])
    .transform(([by, at, id]) => ({ by, at, id })),
);

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
  const positionOf = (cursor: string) => {
    const position = parsePosition(cursor);
    return position?.by === by ? position : null;
  };
  const found = await readPageOfViews(context.reads, {
    filter,
    order,
    limit: page.limit + 1,
    after: readCursor('after', args.after, positionOf),
    before: readCursor('before', args.before, positionOf),
    fromEnd: page.fromEnd,
    pace: paceOf(context),
  });
  const cursorOf = (view: DeploymentView) => {
    const { at, id } = positionIn(by, view);
    return formatPlace(by, at, id);
  };
  return { ...toConnection(found, page, args, cursorOf), filter };
}
