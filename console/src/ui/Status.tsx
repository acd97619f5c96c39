/** Status and decision as a word with a shape: colour is never the only sign. */
import type { ReactElement } from 'react';
import type { CanaryDecision, CanaryStatus, GateOutcome } from '../api/generated/graphql';
import { words } from '../format';

type Tone = 'good' | 'bad' | 'wait' | 'live' | 'quiet';

const STATUS: Record<CanaryStatus, { readonly sign: string; readonly tone: Tone }> = {
  PENDING: { sign: '○', tone: 'quiet' },
  RUNNING: { sign: '▶', tone: 'live' },
  PAUSED: { sign: '‖', tone: 'wait' },
  OBSERVATION_COMPLETE: { sign: '⚑', tone: 'wait' },
  PROMOTED: { sign: '✓', tone: 'good' },
  ROLLED_BACK: { sign: '↩', tone: 'bad' },
  CANCELLED: { sign: '⊘', tone: 'quiet' },
  FAILED: { sign: '✕', tone: 'bad' },
};

export function StatusBadge({ status }: { readonly status: CanaryStatus }): ReactElement {
  const { sign, tone } = STATUS[status];
  return (
    <span className={`badge tone-${tone}`}>
      <span aria-hidden="true">{sign}</span> {words(status)}
    </span>
  );
}

const DECISION: Record<
  CanaryDecision,
  { readonly sign: string; readonly tone: Tone; readonly label: string }
> = {
  CONTINUE: { sign: '…', tone: 'quiet', label: 'Continue' },
  PROMOTE: { sign: '✓', tone: 'good', label: 'Promote' },
  ROLLBACK: { sign: '↩', tone: 'bad', label: 'Roll back' },
  MANUAL_REVIEW: { sign: '⚑', tone: 'wait', label: 'Manual review' },
};

export const decisionLabel = (decision: CanaryDecision): string => DECISION[decision].label;

export function DecisionBadge({ decision }: { readonly decision: CanaryDecision }): ReactElement {
  const { sign, tone, label } = DECISION[decision];
  return (
    <span className={`decision tone-${tone}`}>
      <span aria-hidden="true">{sign}</span> {label}
    </span>
  );
}

const GATE: Record<GateOutcome, { readonly sign: string; readonly label: string }> = {
  PASSED: { sign: '✓', label: 'passed' },
  FAILED: { sign: '✕', label: 'failed' },
  NOT_APPLICABLE: { sign: '–', label: 'does not apply' },
};

export const gateLabel = (outcome: GateOutcome): string => GATE[outcome].label;

export function GateSign({ outcome }: { readonly outcome: GateOutcome }): ReactElement {
  return (
    <span className={`gate gate-${outcome.toLowerCase()}`} aria-hidden="true">
      {GATE[outcome].sign}
    </span>
  );
}
