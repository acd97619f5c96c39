/** A promotion request that waits for the approval of a second person. */
import { findOpenRequest } from '../app/freezes.ts';
import type { ApprovalRequest } from '../core/lifecycle/secondPerson.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { READS } from './fairTurns.ts';

const PromotionRequestType = builder
  .objectRef<ApprovalRequest & { readonly endsAt: number }>('PromotionRequest')
  .implement({
    description: 'A request for promotion, which another person must approve.',
    fields: (t) => ({
      by: t.exposeString('by', { description: 'Who requested the promotion.' }),
      at: t.expose('at', { type: 'DateTime', description: 'When it was requested.' }),
      endsAt: t.expose('endsAt', {
        type: 'DateTime',
        description:
          'When it expires; after that it must be requested again. Time in which a freeze blocks the promotion is not counted.',
      }),
    }),
  });

builder.objectField(DeploymentRef, 'promotionRequest', (t) =>
  t.field({
    type: PromotionRequestType,
    nullable: true,
    description: 'The pending request for promotion; another person approves it with `promoteCanary`.',
    extensions: READS,
    resolve: (view, _args, { reads }) => findOpenRequest(reads.db, view),
  }),
);
