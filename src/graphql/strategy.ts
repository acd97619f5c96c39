/** The strategy type. */
import type { Strategy } from '../store/deployments/strategies.ts';
import { builder, Node } from './builder.ts';

export const StrategyRef = builder.objectRef<Strategy>('Strategy');

StrategyRef.implement({
  description: 'Something that trades, named by its owner. It has one stable version at a time.',
  interfaces: [Node],
  isTypeOf: (value) =>
    typeof value === 'object' && value !== null && 'stableVersionId' in value && !('state' in value),
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its name.' }),
    stableVersionId: t.exposeString('stableVersionId', { description: 'The version that is live today.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When its first deployment was created.',
    }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      description: 'When its stable version last changed.',
    }),
  }),
});
