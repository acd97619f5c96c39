/** The text of every action: its label, and what it does with the deployment and its capital. */
import type { DetailFragment } from '../api/generated/graphql';
import { duration, usd, words } from '../format';
import { canaryHeldUsd } from '../overview/risk';
import type { PlainAction } from './commands';

export interface ActionText {
  readonly label: string;
  /** What happens when it is done; each a sentence. */
  readonly effects: readonly string[];
  readonly tone: 'main' | 'plain' | 'danger';
  /** Why it cannot be done by this viewer now; null when it can. */
  readonly obstacle: string | null;
}

/** In the order of the buttons. */
export const ACTION_ORDER: readonly PlainAction[] = [
  'DEPLOY',
  'PROMOTE',
  'ADVANCE_STEP',
  'EXTEND',
  'PAUSE',
  'RESUME',
  'ROLLBACK',
  'CANCEL',
];

export function actionText(action: PlainAction, deployment: DetailFragment, actor: string): ActionText {
  const { canaryVersionId: canary, stableVersionId: stable, totalCapitalUsd, config, step } = deployment;
  const held = usd(canaryHeldUsd(deployment));
  const back = `The canary returns the capital it holds (${held}); all ${usd(totalCapitalUsd)} goes to ${stable}.`;
  switch (action) {
    case 'DEPLOY': {
      const first = config.steps[0];
      return {
        label: 'Deploy',
        effects: [
          `${Number(first?.canaryPercent ?? config.canaryPercent)} % of the capital goes to ${canary}, the rest to ${stable}.`,
          `Both are checked every ${duration(config.checkIntervalSeconds)} for ${duration(config.observationPeriodMinutes * 60)}.`,
        ],
        tone: 'main',
        obstacle: null,
      };
    }
    case 'PROMOTE':
      return promoteText(deployment, actor);
    case 'ROLLBACK':
      return {
        label: 'Roll back',
        effects: [back, ...planText(deployment), 'The deployment ends; this cannot be undone.'],
        tone: 'danger',
        obstacle: null,
      };
    case 'CANCEL':
      return {
        label: 'Cancel',
        effects: [
          ...(deployment.status === 'PENDING'
            ? ['It was never deployed: no capital moves.']
            : [back, ...planText(deployment)]),
          'The deployment ends without a decision; this cannot be undone.',
        ],
        tone: 'danger',
        obstacle: null,
      };
    case 'PAUSE':
      return {
        label: 'Pause',
        effects: [
          'The observation clock stops; nothing is decided until it is resumed.',
          `The capital stays where it is: ${held} remains at work with ${canary}.`,
        ],
        tone: 'plain',
        obstacle: null,
      };
    case 'RESUME':
      return {
        label: 'Resume',
        effects: ['Observation continues; its deadline moves by the time paused.'],
        tone: 'main',
        obstacle: null,
      };
    case 'EXTEND':
      return {
        label: 'Extend',
        effects: [
          'Observation continues from now; nothing is decided before its new end.',
          `${held} stays with ${canary} until then.`,
        ],
        tone: 'plain',
        obstacle: null,
      };
    case 'ADVANCE_STEP': {
      const next = config.steps[step.number];
      const share = next ? (Number(totalCapitalUsd) * Number(next.canaryPercent)) / 100 : null;
      return {
        label: 'Next step',
        effects: next
          ? [
              `Step ${step.number + 1} of ${step.of} begins: the canary goes from ${usd(deployment.canaryCapitalUsd)} to ${usd(share)} (${Number(next.canaryPercent)} %) for ${next.minutes} minutes.`,
            ]
          : ['The next step of the ramp begins.'],
        tone: 'plain',
        obstacle: null,
      };
    }
  }
}

/** What happens to open positions of a side that gives capital back; nothing where there is no plan. */
function planText({ config: { rollbackPlan } }: DetailFragment): string[] {
  if (!rollbackPlan) return [];
  const { positions, maxSlippageBps, deadlineSeconds } = rollbackPlan;
  const limits = [
    ...(maxSlippageBps === null ? [] : [`at most ${maxSlippageBps} basis points of slippage`]),
    ...(deadlineSeconds === null ? [] : [`within ${duration(deadlineSeconds)}`]),
  ];
  return [
    `Open positions: ${words(positions).toLowerCase()}${limits.length > 0 ? `, ${limits.join(', ')}` : ''}.`,
  ];
}

function promoteText(deployment: DetailFragment, actor: string): ActionText {
  const { canaryVersionId: canary, strategyId, totalCapitalUsd, approvalRule, promotionRequest } = deployment;
  const done = [
    `${canary} becomes the stable version of ${strategyId}, and all ${usd(totalCapitalUsd)} goes to it.`,
    'The deployment ends; this cannot be undone.',
  ];
  if (approvalRule === null) return { label: 'Promote', effects: done, tone: 'main', obstacle: null };
  if (!promotionRequest) {
    return {
      label: 'Request promotion',
      effects: [
        'Nothing is promoted yet: another person must approve within a day.',
        'After the approval:',
        ...done,
      ],
      tone: 'main',
      obstacle: null,
    };
  }
  const own = promotionRequest.by === actor;
  return {
    label: 'Approve promotion',
    effects: [`Requested by ${promotionRequest.by}.`, ...done],
    tone: 'main',
    obstacle: own ? 'You requested this promotion: another person must approve it.' : null,
  };
}
