/** A promotion that was asked for and waits for a second person. */
import { openRequest, requestEndsAt } from '../core/lifecycle/approval.ts';
import { isWatched, type PromotionRequest } from '../core/lifecycle/state.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';

const PromotionRequestType = builder.objectRef<PromotionRequest>('PromotionRequest').implement({
  description: 'Somebody has asked for a promotion; with `requireApproval` somebody else must approve it.',
  fields: (t) => ({
    by: t.exposeString('by', { description: 'Who asked.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
    endsAt: t.field({
      type: 'DateTime',
      description: 'From when on it is no longer good and must be asked for again.',
      resolve: requestEndsAt,
    }),
  }),
});

builder.objectField(DeploymentRef, 'promotionRequest', (t) =>
  t.field({
    type: PromotionRequestType,
    nullable: true,
    description:
      'The request for promotion that waits for another person, who approves it with `promoteCanary`.',
    resolve: ({ state, now }) => (isWatched(state) ? openRequest(state, now) : null),
  }),
);
