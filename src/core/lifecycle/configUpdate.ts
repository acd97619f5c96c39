/**
 * A change of a live deployment's configuration. What makes it safer is done immediately; what loosens it needs what a
 * promotion of the deployment needs; what the evidence rests on cannot change while the canary runs.
 */
import { type ConfigFieldChange, configChanges, isSafer, type RampProgress } from '../config/classify.ts';
import { type CanaryConfig, configHash } from '../config/config.ts';
import type { CanaryConfigInput } from '../config/parseConfig.ts';
import { patchConfig } from '../config/patch.ts';
import { MAX_YEARS } from '../config/tradingHours.ts';
import type { SerinInstant } from '../values/instant.ts';
import { type Refusal, refusal } from '../values/refusal.ts';
import { describeViolations } from '../values/violation.ts';
import { answerOfSecond, needsApproval } from './approval.ts';
import { check } from './check.ts';
import type { Command, Facts, Verdict } from './command.ts';
import type { EventBody } from './events.ts';
import { evolve } from './evolve.ts';
import { validRequest } from './secondPerson.ts';
import { type ConfigRequest, type DeploymentState, isEnded, isWatched, longerStepMs } from './state.ts';
import { stepEnd } from './watchedTime.ts';

type UpdateConfig = Extract<Command, { type: 'UPDATE_CONFIG' }>;

/** What a patch would do to a deployment now. */
export type ConfigPreview =
  | { readonly possible: false; readonly refusal: Refusal }
  | {
      readonly possible: true;
      readonly config: CanaryConfig;
      readonly changes: readonly ConfigFieldChange[];
      /** Whether nothing in it is looser. */
      readonly safer: boolean;
    };

/** How far the ramp of a deployment is. */
export function progressOf(state: DeploymentState): RampProgress {
  if (state.status === 'PENDING' || !state.observation) return { begun: 0, running: false };
  return {
    begun: state.observation.step.index + 1,
    running: state.status === 'RUNNING' || state.status === 'PAUSED',
  };
}

/** What a command of this kind would change now: by a patch, or by the request that it approves. */
export function previewUpdate(
  state: DeploymentState,
  { patch, approve = null }: Pick<UpdateConfig, 'patch' | 'approve'>,
  now: SerinInstant,
): ConfigPreview {
  const refuse = (name: string, message: string): ConfigPreview => ({
    possible: false,
    refusal: refusal('INVALID_INPUT', `${name} ${message}`, [name]),
  });
  if (approve === null)
    return patch ? previewConfig(state, patch) : refuse('config', 'must say what to change');
  if (patch) return refuse('approve', 'cannot be given together with config');
  const request = openConfigRequest(state, now);
  return request && configHash(request.config) === approve
    ? previewChange(state, request.config, {})
    : refuse('approve', 'is not the hash of an open request: read configRequest again');
}

/** The settings that a patch would change, each with what it means for the risk; or why the patch cannot be applied. */
export function previewConfig(state: DeploymentState, patch: CanaryConfigInput): ConfigPreview {
  const parsed = patchConfig(state.config, patch);
  if (!parsed.ok) {
    const [first] = parsed.violations;
    const message = describeViolations(parsed.violations);
    return { possible: false, refusal: refusal('INVALID_INPUT', message, first?.path ?? []) };
  }
  return previewChange(state, parsed.value, patch);
}

function previewChange(
  state: DeploymentState,
  config: CanaryConfig,
  patch: CanaryConfigInput,
): ConfigPreview {
  const changes = configChanges(state.config, config, progressOf(state));
  const fixed = changes.filter(({ effect }) => effect === 'FIXED');
  if (fixed[0]) return { possible: false, refusal: cannotChange(state, fixed, patch) };
  return { possible: true, config, changes, safer: isSafer(changes) };
}

/** The settings of a request that is still open; null if there is none. */
export function openConfigRequest(state: DeploymentState, now: SerinInstant): ConfigRequest | null {
  return isEnded(state) ? null : validRequest(state.configRequest ?? null, now);
}

/** The settings that a request would change. */
export const requestedChanges = (state: DeploymentState, { config }: ConfigRequest): ConfigFieldChange[] =>
  configChanges(state.config, config, progressOf(state));

export function updateConfig(state: DeploymentState, command: UpdateConfig, facts: Facts): Verdict {
  const preview = previewUpdate(state, command, facts.now);
  if (!preview.possible) return { accepted: false, refusal: preview.refusal };
  const { config, changes, safer } = preview;
  const unchanged: Verdict = { accepted: true, events: [], breaches: facts.breaches };
  if (changes.length === 0) return unchanged;
  const change = { before: configHash(state.config), after: configHash(config), config, changes };
  const { reason } = command;
  const end = endOfStep(state, config);
  if (end.endsAt === Number.POSITIVE_INFINITY) {
    const message = `the running step must end within ${MAX_YEARS} years of trading hours`;
    return { accepted: false, refusal: refusal('INVALID_INPUT', message, ['config']) };
  }
  const updated: EventBody = { type: 'CONFIG_UPDATED', ...change, reason, ...end };
  if (safer || !needsApproval(state, facts)) return take(state, updated, facts);

  const open = openConfigRequest(state, facts.now);
  const same = open && configHash(open.config) === change.after ? open : null;
  const answer = answerOfSecond(same, facts);
  if (answer === 'ACT') return take(state, { ...updated, ...(same ? { requestedBy: same.by } : {}) }, facts);
  if (answer !== 'ASK') {
    const message =
      `Another person must approve what loosens the configuration of ${state.id}, by asking for the same: ${answer.why}. ` +
      'What makes it safer is done immediately when it is asked for alone';
    return { accepted: false, refusal: refusal('INVALID_TRANSITION', message) };
  }
  const { person } = facts;
  const requested: EventBody = {
    type: 'CONFIG_CHANGE_REQUESTED',
    ...change,
    reason,
    ...(person === undefined ? {} : { person }),
  };
  return { accepted: true, events: [requested], breaches: facts.breaches };
}

/** When the running step ends under another configuration, where trading hours decide that. */
function endOfStep(state: DeploymentState, config: CanaryConfig): ReturnType<typeof stepEnd> {
  if (state.status !== 'RUNNING' && state.status !== 'PAUSED') return {};
  const { step } = state.observation;
  return stepEnd(state.config, step.endsAt, longerStepMs(state.config, config, step.index));
}

/** The new limits are checked immediately: a canary that is beyond them already does not wait for its next check. */
function take(state: DeploymentState, updated: EventBody, facts: Facts): Verdict {
  const { now: at, actor } = facts;
  const envelope = { at, actor, no: state.eventCount + 1, revision: state.revision + 1 };
  const after = evolve(state, { ...updated, ...envelope });
  if (!isWatched(after)) return { accepted: true, events: [updated], breaches: facts.breaches };
  const { events, breaches } = check(after, { type: 'EVALUATE_GUARDRAILS', again: true }, facts);
  return { accepted: true, events: [updated, ...events], breaches };
}

function cannotChange(
  state: DeploymentState,
  fixed: readonly ConfigFieldChange[],
  patch: CanaryConfigInput,
): Refusal {
  const names = fixed.map(({ field }) => givenAs(field, patch));
  const [first = ''] = names;
  const ramp = fixed.some(({ field }) => field.startsWith('steps.'));
  const why = ramp
    ? 'a step that has begun can only be made longer, or wait for a person at its end, while it runs'
    : 'the error rate of the evidence, or what the bots received, rests on it';
  const message =
    `config.${[...new Set(names)].join(', config.')} cannot change while ${state.id} runs: ${why}. ` +
    'Cancel it and create another deployment instead';
  return refusal('INVALID_INPUT', message, ['config', ...first.split('.')]);
}

/** The setting as the caller gave it: the first step by its own names where no list of steps was given. */
function givenAs(field: string, { steps }: CanaryConfigInput): string {
  if (steps) return field;
  if (field === 'steps.0.minutes') return 'observationPeriodMinutes';
  return field === 'steps.0.canaryPercent' ? 'canaryPercent' : field;
}
