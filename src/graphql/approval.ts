/** A promotion request that waits for the approval of a second person. */
import { openRequest } from '../core/lifecycle/approval.ts';
import { type ApprovalRequest, requestEndsAt } from '../core/lifecycle/secondPerson.ts';
import { isWatched } from '../core/lifecycle/state.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';

const PromotionRequestType = builder.objectRef<ApprovalRequest>('PromotionRequest').implement({
  description: 'A request for promotion, which another person must approve.',
  fields: (t) => ({
    by: t.exposeString('by', { description: 'Who requested the promotion.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was requested.' }),
    endsAt: t.field({
      type: 'DateTime',
      description: 'When it expires; after that it must be requested again.',
      resolve: requestEndsAt,
    }),
  }),
});

builder.objectField(DeploymentRef, 'promotionRequest', (t) =>
  t.field({
    type: PromotionRequestType,
    nullable: true,
    description: 'The pending request for promotion; another person approves it with `promoteCanary`.',
    resolve: ({ state, now }) => (isWatched(state) ? openRequest(state, now) : null),
  }),
);
