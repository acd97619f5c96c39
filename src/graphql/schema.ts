/** The complete schema: importing a file below adds its types and fields. */
import { lexicographicSortSchema, printSchema } from 'graphql';
import { builder } from './builder.ts';
import { inTurns } from './fairTurns.ts';
import { guarded } from './guard.ts';
import { withStringLimits } from './stringLimits.ts';
import './allocations.ts';
import './apiKeys.ts';
import './approval.ts';
import './audit.ts';
import './configUpdate.ts';
import './deployment.ts';
import './deploymentsUpdated.ts';
import './eventPayload.ts';
import './freezes.ts';
import './halt.ts';
import './heartbeat.ts';
import './lifecycle.ts';
import './lossBudgets.ts';
import './overview.ts';
import './policy.ts';
import './policyReplay.ts';
import './queries.ts';
import './reports.ts';
import './series.ts';
import './signals.ts';
import './strategyApproval.ts';
import './strategyHistory.ts';
import './subscriptions.ts';
import './trades.ts';
import './viewer.ts';
import './webhookMutations.ts';
import './webhooks.ts';

export const schema = withStringLimits(guarded(inTurns(builder.toSchema())));

/** The schema as a string: the content of `schema.graphql`. */
export function printedSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
