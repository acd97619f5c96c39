/** The filter of lists and feeds of deployments. */
import type { Scope } from '../store/access/strategyScope.ts';
import type { DeploymentFilter } from '../store/deployments/deploymentPages.ts';
import { builder } from './builder.ts';
import { StatusType } from './deployment.ts';
import { badInput } from './paging.ts';

/** Patterns in one filter. */
const MAX_PATTERNS = 100;

export const DeploymentFilterInput = builder.inputType('DeploymentFilter', {
  description: 'Filter for deployments; all given conditions must match.',
  fields: (t) => ({
    strategyId: t.id({ description: 'Deployments of this strategy.' }),
    chain: t.string({ description: 'On this chain.' }),
    status: t.field({ type: [StatusType], description: 'In one of these statuses.' }),
    canaryVersionId: t.string({ description: 'That try this version.' }),
    stableVersionId: t.string({ description: 'That run alongside this version.' }),
    startedFrom: t.field({ type: 'DateTime', description: 'Started at this time or later.' }),
    startedBefore: t.field({ type: 'DateTime', description: 'Started before this time.' }),
    strategies: t.stringList({
      description:
        'Of strategies whose name matches one of these patterns; `*` stands for any characters: `eth-*`.',
    }),
    live: t.boolean({
      description: 'true: only deployments that have not ended; false: only those that have.',
    }),
  }),
});

/** What a filter asks for, within what its caller may see. */
export function readFilter(
  input: typeof DeploymentFilterInput.$inferInput | null | undefined,
  scope: Scope,
): DeploymentFilter {
  const { status, strategies, ...given } = input ?? {};
  if (strategies && strategies.length > MAX_PATTERNS) {
    throw badInput(`strategies must be at most ${MAX_PATTERNS} patterns, got ${strategies.length}`, [
      'filter',
      'strategies',
    ]);
  }
  return {
    statuses: status ?? undefined,
    strategyId: given.strategyId ?? undefined,
    chain: given.chain ?? undefined,
    canaryVersionId: given.canaryVersionId ?? undefined,
    stableVersionId: given.stableVersionId ?? undefined,
    startedFrom: given.startedFrom ?? undefined,
    startedBefore: given.startedBefore ?? undefined,
    strategies: strategies ?? undefined,
    live: given.live ?? undefined,
    scope,
  };
}
