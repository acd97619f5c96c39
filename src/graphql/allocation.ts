/** Allocations as clients read them: what each side should hold, what it says, and how far that has come. */
import type { CanaryConfig } from '../core/config/config.ts';
import { ALLOCATION_CAUSES, type Allocation, requestedUsd } from '../core/lifecycle/allocation.ts';
import {
  type ALLOCATION_STATUSES,
  allocationStatus,
  describeMissing,
  holdsRequested,
  overdueSince,
  settleBy,
  settledAt,
} from '../core/lifecycle/settlement.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { SIDES, type Side } from '../core/values/side.ts';
import { builder } from './builder.ts';
import { RollbackPlanType } from './capitalConfig.ts';
import { SideType } from './metrics.ts';

export const AllocationCause = builder.enumType('AllocationCause', {
  description: 'Why an allocation was requested.',
  values: ALLOCATION_CAUSES,
});

const AllocationStatusType = builder.enumType('AllocationStatus', {
  description: 'How far an allocation is carried out.',
  values: {
    REQUESTED: { description: 'No side has acknowledged it yet.' },
    PARTIAL: { description: 'A side has acknowledged it, but not both hold what they should.' },
    SETTLED: { description: 'Both sides hold what it asks for, within the tolerance.' },
    OVERDUE: { description: 'A side does not hold what it should after the deadline.' },
    SUPERSEDED: { description: 'Another allocation replaced it before it was settled.' },
    UNANSWERED: {
      description:
        'No side has ever acknowledged an allocation of this deployment, and `config.settlement` is not given: nothing ' +
        'is awaited.',
    },
  } satisfies Record<(typeof ALLOCATION_STATUSES)[number], object>,
});

export interface AllocationView {
  readonly allocation: Allocation;
  readonly now: SerinInstant;
  /** Whether another allocation has replaced it. */
  readonly superseded: boolean;
  /** When the lease of the canary's capital ends as things stand, epoch milliseconds; null if there is none. */
  readonly leaseUntil: number | null;
}

interface SideAllocation extends AllocationView {
  readonly side: Side;
}

const SideAllocationType = builder.objectRef<SideAllocation>('SideAllocation').implement({
  description: 'Capital requested from one side and capital that the side has acknowledged.',
  fields: (t) => {
    const answer = ({ allocation, side }: SideAllocation) => allocation.acknowledged[side];
    const isOpen = (view: SideAllocation) => answer(view)?.number !== view.allocation.number;
    return {
      side: t.expose('side', { type: SideType, description: 'Which side.' }),
      requestedUsd: t.field({
        type: 'Decimal',
        description: 'Capital it was requested to hold, USD.',
        resolve: ({ allocation, side }) => requestedUsd(allocation, side),
      }),
      heldUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: 'Capital it last acknowledged, USD; null if it never acknowledged any.',
        resolve: (view) => answer(view)?.heldUsd ?? null,
      }),
      acknowledgedNumber: t.int({
        nullable: true,
        description: 'Number of the allocation it last acknowledged; null if none.',
        resolve: (view) => answer(view)?.number ?? null,
      }),
      acknowledgedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it last acknowledged an allocation; null if never.',
        resolve: (view) => answer(view)?.at ?? null,
      }),
      openExposureUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: 'Value of its open positions at its last acknowledgement, USD; null if it did not say.',
        resolve: (view) => answer(view)?.openExposureUsd ?? null,
      }),
      settled: t.boolean({
        description: 'Whether it has acknowledged that it holds what it should, with nothing left to close.',
        resolve: ({ allocation, side }) => holdsRequested(allocation, side),
      }),
      unansweredSeconds: t.int({
        description: 'Seconds for which the latest allocation has been unacknowledged; 0 once acknowledged.',
        resolve: (view) =>
          isOpen(view) ? Math.max(0, Math.floor((view.now - view.allocation.requestedAt) / 1000)) : 0,
      }),
    };
  },
});

export const AllocationType = builder.objectRef<AllocationView>('Allocation').implement({
  description:
    'A request to hold capital. Serin moves no money: bots read the request, carry it out and acknowledge it.',
  fields: (t) => ({
    number: t.int({ description: 'Number, starting at 1.', resolve: ({ allocation }) => allocation.number }),
    cause: t.field({
      type: AllocationCause,
      description: 'Why it was requested.',
      resolve: ({ allocation }) => allocation.cause,
    }),
    canaryPercent: t.field({
      type: 'Decimal',
      description: "The canary's share of the capital, in percent.",
      resolve: ({ allocation }) => allocation.canaryPercent,
    }),
    totalUsd: t.field({
      type: 'Decimal',
      description: 'Capital of both sides together, USD.',
      resolve: ({ allocation }) => allocation.totalUsd,
    }),
    canaryUsd: t.field({
      type: 'Decimal',
      description: 'Capital the canary is to hold, USD.',
      resolve: ({ allocation }) => allocation.canaryUsd,
    }),
    stableUsd: t.field({
      type: 'Decimal',
      description: 'Capital the stable side is to hold, USD.',
      resolve: ({ allocation }) => allocation.stableUsd,
    }),
    leaseUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        "When the lease of the canary's capital ends if its bot is not heard before; null if there is none. Of an " +
        'allocation that was replaced: when it would have ended as of its request.',
      resolve: ({ leaseUntil }) => leaseUntil,
    }),
    requestedAt: t.field({
      type: 'DateTime',
      description: 'When it was requested.',
      resolve: ({ allocation }) => allocation.requestedAt,
    }),
    status: t.field({
      type: AllocationStatusType,
      description: 'How far it is carried out.',
      resolve: ({ allocation, now, superseded }) => allocationStatus(allocation, now, superseded),
    }),
    settledAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the later side acknowledged that it holds what it should; null if one does not.',
      resolve: ({ allocation }) => settledAt(allocation),
    }),
    overdueSince: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When its deadline passed; null if it is not overdue.',
      resolve: ({ allocation, now, superseded }) => (superseded ? null : overdueSince(allocation, now)),
    }),
    rollbackPlan: t.field({
      type: RollbackPlanType,
      nullable: true,
      description: 'What a side that is to hold less does with its open positions; null if there is no plan.',
      resolve: ({ allocation }) => allocation.rollbackPlan,
    }),
    sides: t.field({
      type: [SideAllocationType],
      description: 'Requested and acknowledged capital of each side.',
      resolve: (view) => SIDES.map((side) => ({ ...view, side })),
    }),
  }),
});

interface SettlementView extends AllocationView {
  readonly config: CanaryConfig;
}

export const DeploymentSettlementType = builder.objectRef<SettlementView>('DeploymentSettlement').implement({
  description: 'Whether the capital of a deployment is where its latest allocation asks for it.',
  fields: (t) => ({
    status: t.field({
      type: AllocationStatusType,
      description: 'The status of the latest allocation.',
      resolve: ({ allocation, now }) => allocationStatus(allocation, now),
    }),
    settledAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When both sides held what they should; null while one does not.',
      resolve: ({ allocation }) => settledAt(allocation),
    }),
    settleBy: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'The deadline; null once it is settled, or if nothing is awaited.',
      resolve: ({ allocation }) => settleBy(allocation),
    }),
    overdueSince: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the deadline passed; null if it is not overdue.',
      resolve: ({ allocation, now }) => overdueSince(allocation, now),
    }),
    breachToSafeSeconds: t.float({
      nullable: true,
      description:
        'Seconds from the report that broke a guardrail until both sides held what they should, or until now while one ' +
        'does not; null if no guardrail led to the allocation.',
      resolve: ({ allocation, now }) =>
        allocation.breachedAt === undefined
          ? null
          : ((settledAt(allocation) ?? now) - allocation.breachedAt) / 1000,
    }),
    missing: t.string({
      nullable: true,
      description:
        'Which side does not hold what it should, as a message for people; null once it is settled.',
      resolve: ({ allocation }) => (settledAt(allocation) === null ? describeMissing(allocation) : null),
    }),
    required: t.boolean({
      description: 'Whether the next step, and the next canary of the strategy on its chain, wait for it.',
      resolve: ({ config }) => config.settlement?.required ?? false,
    }),
  }),
});
