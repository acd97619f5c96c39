/**
 * Calls an embedder's callbacks, event by event and in order. A callback that throws or rejects affects nothing else.
 * Events of a command that a callback gives are dispatched after the current ones.
 */

import type { CanaryEvent, DecisionRecord } from '../lifecycle/events.ts';
import { evolve } from '../lifecycle/evolve.ts';
import type { CanaryStatus, DeploymentState } from '../lifecycle/state.ts';

type EventOf<K extends CanaryEvent['type']> = Extract<CanaryEvent, { type: K }>;

/** A change of status, and the event that caused it. */
export interface StateChange {
  readonly previousStatus: CanaryStatus;
  readonly status: CanaryStatus;
  readonly event: CanaryEvent;
}

/** Each is called with the deployment as it was right after the event. Returned promises are not awaited. */
export interface Callbacks {
  readonly onPromote?: (event: EventOf<'CANARY_PROMOTED'>, deployment: DeploymentState) => unknown;
  readonly onRollback?: (event: EventOf<'CANARY_ROLLED_BACK'>, deployment: DeploymentState) => unknown;
  readonly onStateChange?: (change: StateChange, deployment: DeploymentState) => unknown;
  readonly onDecision?: (record: DecisionRecord, deployment: DeploymentState) => unknown;
  /** Every event of the timeline; none with `emitEvents: false`. */
  readonly onEvent?: (event: CanaryEvent, deployment: DeploymentState) => unknown;
  /** Called with an error in a callback or a check, and its name. Default: a process warning. */
  readonly onError?: (error: unknown, where: string) => unknown;
}

interface CallbackPayload {
  readonly before: DeploymentState | null;
  readonly event: CanaryEvent;
  readonly after: DeploymentState;
}

export class CallbackDispatcher {
  readonly #callbacks: Callbacks;
  readonly #waiting: CallbackPayload[] = [];
  #dispatching = false;

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks;
  }

  /** @param before the deployment before the first of these events */
  dispatch(before: DeploymentState | null, events: readonly CanaryEvent[]): void {
    let state = before;
    for (const event of events) {
      const after = evolve(state, event);
      this.#waiting.push({ before: state, event, after });
      state = after;
    }
    if (this.#dispatching) return;
    this.#dispatching = true;
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) this.#dispatchOne(next);
    this.#dispatching = false;
  }

  /** Reports an error that has no caller. */
  reportError(error: unknown, where: string): void {
    const { onError = warn } = this.#callbacks;
    // An error in the error callback cannot be reported.
    run(
      () => onError(error, where),
      () => {},
    );
  }

  #dispatchOne({ before, event, after }: CallbackPayload): void {
    const { onPromote, onRollback, onStateChange, onDecision, onEvent } = this.#callbacks;
    if (onEvent && after.config.emitEvents) this.#call('onEvent', () => onEvent(event, after));
    if (onStateChange && before && before.status !== after.status) {
      const change = { previousStatus: before.status, status: after.status, event };
      this.#call('onStateChange', () => onStateChange(change, after));
    }
    if (onDecision && event.type === 'DECISION_MADE') {
      this.#call('onDecision', () => onDecision(event.record, after));
    }
    if (onPromote && event.type === 'CANARY_PROMOTED') this.#call('onPromote', () => onPromote(event, after));
    if (onRollback && event.type === 'CANARY_ROLLED_BACK') {
      this.#call('onRollback', () => onRollback(event, after));
    }
  }

  #call(where: string, callback: () => unknown): void {
    run(callback, (error) => this.reportError(error, where));
  }
}

/** Runs a callback that may throw or return a promise that rejects. */
function run(callback: () => unknown, failed: (error: unknown) => void): void {
  try {
    Promise.resolve(callback()).catch(failed);
  } catch (error) {
    failed(error);
  }
}

function warn(error: unknown, where: string): void {
  process.emitWarning(`${where}: ${error instanceof Error ? error.message : String(error)}`, 'SerinWarning');
}
