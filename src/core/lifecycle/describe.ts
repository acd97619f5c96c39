/** Describes events and commands in one sentence each, for timelines, results, webhooks and terminals. */

import type { ConfigFieldChange } from '../config/classify.ts';
import { formatDecimal } from '../values/decimal.ts';
import { counted, dollars } from '../values/format.ts';
import type { Command } from './command.ts';
import { asksForApproval } from './decide.ts';
import type { EventBody } from './events.ts';
import { describeEnd } from './freeze.ts';
import type { DeploymentState } from './state.ts';

const because = (reason: string | null) => (reason ? `: ${reason}` : '');

/** A deployment that was created without a chain has `unknown`. */
const onChain = (chain: string) => (chain === 'unknown' ? '' : ` on ${chain}`);

const inSpiteOf = (freezeId: string | undefined) => (freezeId ? ` in spite of the freeze ${freezeId}` : '');

/** What happened, for a person. */
export function describeEvent(event: EventBody): string {
  switch (event.type) {
    case 'DEPLOYMENT_CREATED':
      return `${event.canaryVersionId} is to be tried alongside ${event.stableVersionId}${onChain(event.chain)}`;
    case 'CANARY_STARTED':
      return `Canary started with ${formatDecimal(event.canaryPercent)} % of ${dollars(event.capitalUsd)}${inSpiteOf(event.overrodeFreeze)}${because(event.reason)}`;
    case 'ALLOCATION_REQUESTED':
      return `Allocation ${event.number}: canary ${dollars(event.canaryUsd)}, stable ${dollars(event.stableUsd)}`;
    case 'ALLOCATION_ACKNOWLEDGED':
      return describeAcknowledgement(event);
    case 'ALLOCATION_SETTLED':
      return `Allocation ${event.number} is settled after ${seconds(event.tookMs)}${
        event.breachToSafeMs === undefined
          ? ''
          : `, ${seconds(event.breachToSafeMs)} after the guardrail was broken`
      }`;
    case 'ALLOCATION_OVERDUE':
      return describeOverdue(event);
    case 'CANARY_METRICS_UPDATED': {
      const pnl = (value: typeof event.netPnlUsd.CANARY) => (value === null ? 'none' : dollars(value));
      const { CANARY: canary, STABLE: stable } = event.netPnlUsd;
      return `Check ${event.check}: canary ${pnl(canary)}, stable ${pnl(stable)}; as of now ${event.decision}`;
    }
    case 'WATCH_RESUMED': {
      const seconds = Math.round(Math.abs(event.unwatchedMs) / 1000);
      return event.unwatchedMs < 0
        ? `Checks continue: the clock was set back by about ${seconds} s`
        : `Checks continue after ${seconds} s without checks; the step ends that much later`;
    }
    case 'COUNTER_RESET': {
      const { side, session, carried } = event;
      const began = session === null ? 'the counters start again' : `session ${session} began`;
      return `The ${side.toLowerCase()} side restarted: ${began}; ${dollars(carried.pnlUsd)} and ${counted(carried.trades, 'trade')} are carried over`;
    }
    case 'METRICS_UNAVAILABLE':
      return `Check ${event.check} could not have the metrics: ${event.message}`;
    case 'LEASE_EXPIRED':
      return describeExpiry(event);
    case 'LEASE_RESUMED':
      return `The lease of the canary's capital counts anew: Serin was away, or its clock was set, for ${seconds(event.awayMs)} when it ended`;
    case 'CANARY_PAUSED':
      return `Paused${because(event.reason)}`;
    case 'CANARY_RESUMED':
      return `Resumed after ${Math.max(0, Math.round(event.pausedMs / 1000))} s${because(event.reason)}`;
    case 'OBSERVATION_EXTENDED':
      return `Observation extended by ${counted(event.minutes, 'minute')}${because(event.reason)}`;
    case 'STEP_STARTED':
      return `Step ${event.step + 1} started: ${formatDecimal(event.canaryPercent)} % for ${counted(event.minutes, 'minute')}${inSpiteOf(event.overrodeFreeze)}${because(event.reason)}`;
    case 'RULE_CHANGED':
      return `Decision rule ${event.to} from here on; the evidence is made anew of ${counted(event.pairs, 'pair')}`;
    case 'CONFIG_CHANGE_REQUESTED':
      return `Change of the configuration asked for, another person must approve it: ${describeChanges(event.changes)}${because(event.reason)}`;
    case 'CONFIG_UPDATED':
      return `Configuration changed${event.requestedBy === undefined ? '' : `, as ${event.requestedBy} asked`}: ${describeChanges(event.changes)}${because(event.reason)}`;
    case 'PROMOTION_HELD':
      return `Promotion held ${describeEnd(event.until)} by the freeze ${event.freezeId}: ${event.reason}`;
    case 'STEP_HELD':
      return `Next step held ${describeEnd(event.until)} by the freeze ${event.freezeId}: ${event.reason}`;
    case 'GUARDRAIL_TRIPPED':
      return `Guardrail ${event.guardrail} tripped: ${event.message}`;
    case 'DECISION_MADE':
      return `Decision ${event.record.decision}: ${event.record.reasons.join('; ')}`;
    case 'CANARY_OBSERVATION_COMPLETE':
      return `Observation complete: ${event.decision}${event.waits ? ', waiting for a person' : ''}`;
    case 'PROMOTION_REQUESTED':
      return `Promotion asked for; another person must approve it${because(event.reason)}`;
    case 'CANARY_PROMOTED':
      return `${event.stableVersionId} promoted${inSpiteOf(event.overrodeFreeze)}; it is the stable version now${because(event.reason)}`;
    case 'CANARY_ROLLED_BACK':
      return `${event.rolledBackVersionId} rolled back to ${event.stableVersionId}${because(event.reason)}`;
    case 'CANARY_CANCELLED':
      return `Cancelled${because(event.reason)}`;
    case 'CANARY_FAILED':
      return `Failed: ${event.reason}`;
    case 'DEPLOYMENT_IMPORTED':
      return `Imported with the ${counted(event.from, 'event')} before; the document is ${event.documentHash.slice(0, 12)}…`;
    case 'UNKNOWN':
      return `${String(event.stored.type)}, which a later version of Serin wrote and this node cannot read`;
  }
}

function describeExpiry({ leaseUntil, stoodDown }: Extract<EventBody, { type: 'LEASE_EXPIRED' }>): string {
  const why = stoodDown ? 'its bot has stood down' : 'no request of its bot came before';
  return `The lease of the canary's capital ran out at ${new Date(leaseUntil).toISOString()}: ${why}`;
}

/** Every setting with its values: `guardrails.maxLossUsd from 500 to 300 (safer)`. */
const describeChanges = (changes: readonly ConfigFieldChange[]) =>
  changes
    .map(
      ({ field, before, after, effect }) =>
        `${field} from ${before ?? 'none'} to ${after ?? 'none'} (${effect.toLowerCase()})`,
    )
    .join(', ');

const seconds = (ms: number) => `${Math.max(0, Math.round(ms / 1000))} s`;

function describeAcknowledgement(event: Extract<EventBody, { type: 'ALLOCATION_ACKNOWLEDGED' }>): string {
  const { side, heldUsd, number, openExposureUsd, onBehalf = false, reason = null } = event;
  const open = openExposureUsd ? ` and ${dollars(openExposureUsd)} in open positions` : '';
  const said = `The ${side.toLowerCase()} side holds ${dollars(heldUsd)}${open} (allocation ${number})`;
  return `${said}${onBehalf ? ', acknowledged on its behalf' : ''}${because(reason)}`;
}

function describeOverdue({
  number,
  overdueSince,
  sides,
}: Extract<EventBody, { type: 'ALLOCATION_OVERDUE' }>): string {
  const missing = sides.map(({ side, requestedUsd, heldUsd }) => {
    const held = heldUsd === null ? 'has acknowledged nothing' : `holds ${dollars(heldUsd)}`;
    return `the ${side.toLowerCase()} side is to hold ${dollars(requestedUsd)} and ${held}`;
  });
  return `Allocation ${number} is overdue since ${new Date(overdueSince).toISOString()}: ${missing.join(', ')}`;
}

/** What a command did, as the message of its result. */
export function describeCommand(
  command: Command,
  { id, canaryVersionId, stableVersionId }: DeploymentState,
  events: readonly EventBody[],
): string {
  if (command.type === 'UPDATE_CONFIG') return describeUpdate(id, events);
  if (asksForApproval(events)) {
    return `Promotion of ${canaryVersionId} asked for: it happens when somebody else approves it with promoteCanary`;
  }
  switch (command.type) {
    case 'DEPLOY':
      return `Canary ${canaryVersionId} runs alongside ${stableVersionId}`;
    case 'PROMOTE':
      return `Canary version ${canaryVersionId} promoted to stable; all capital goes to it`;
    case 'ROLLBACK':
      return `Canary version ${canaryVersionId} rolled back; all capital goes back to ${stableVersionId}`;
    case 'CANCEL':
      return `Deployment ${id} cancelled`;
    case 'PAUSE':
      return `Deployment ${id} paused: both allocations are held and the observation clock stands`;
    case 'RESUME':
      return `Deployment ${id} resumed; the deadline moved by the time paused`;
    case 'EXTEND':
      return `Observation of ${id} extended`;
    case 'ADVANCE_STEP':
      return `Deployment ${id} advanced to the next step`;
    case 'ACKNOWLEDGE':
      return `Allocation ${command.number} acknowledged by the ${command.side.toLowerCase()} side`;
    case 'STAND_DOWN':
      return `The canary of ${id} has stood down; all capital goes back to ${stableVersionId}`;
    case 'CHECK':
    case 'EVALUATE_GUARDRAILS':
    case 'CHECK_DEADLINES':
      return `Guardrails of deployment ${id} checked`;
  }
}

/** What became of a change of the configuration. */
function describeUpdate(id: string, events: readonly EventBody[]): string {
  const [event, ...later] = events;
  if (event?.type === 'CONFIG_CHANGE_REQUESTED') {
    return `Change of ${id} asked for: it is made when somebody else asks for the same: ${describeChanges(event.changes)}`;
  }
  if (event?.type !== 'CONFIG_UPDATED') return `Nothing to change: ${id} is configured like this already`;
  const tripped = later.find(({ type }) => type === 'GUARDRAIL_TRIPPED');
  return [
    `Configuration of ${id} changed: ${describeChanges(event.changes)}`,
    ...(tripped ? [describeEvent(tripped)] : []),
  ].join('. ');
}
