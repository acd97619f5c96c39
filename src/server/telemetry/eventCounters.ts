/** Metrics counted from the events that this node has committed: decisions, ends of canaries, guardrails, leases. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { GUARDRAILS } from '../../core/config/config.ts';
import { type CanaryEvent, DECISION_CAUSES } from '../../core/lifecycle/events.ts';
import type { Ended } from '../../core/lifecycle/state.ts';
import { DECISIONS } from '../../core/rule/gate.ts';

type Cause = (typeof DECISION_CAUSES)[number];
type EndedStatus = Ended['status'];

/** The statuses that events end a deployment with, and the causes of each. */
const ENDINGS: Readonly<Record<EndedStatus, readonly Cause[]>> = {
  PROMOTED: ['OBSERVATION_OVER', 'EVIDENCE', 'COMMAND'],
  ROLLED_BACK: DECISION_CAUSES.filter((cause) => cause !== 'LEASE'),
  CANCELLED: ['COMMAND'],
  FAILED: ['GUARDRAIL', 'LEASE'],
};

/** Creates the counters. Returns the function that counts events, those of one command one after the other. */
export function createEventCounters(registry: Registry): (events: readonly CanaryEvent[]) => void {
  const registers = [registry];
  const count = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const decisions = count('serin_decisions_total', 'Automatic decisions made by this node.', ['decision']);
  const ended = count('serin_canaries_ended_total', 'Canaries that ended on this node, by how and why.', [
    'status',
    'cause',
  ]);
  const trips = count('serin_guardrail_trips_total', 'Guardrails that tripped on this node.', ['guardrail']);
  const leases = count(
    'serin_leases_expired_total',
    'Leases of capital that ran out, as seen by this node: the bot was not heard, or said that it has stood down.',
  );
  const breachToSafe = new Histogram({
    name: 'serin_breach_to_safe_seconds',
    help:
      "Serin's seconds from the report that broke a guardrail until both sides acknowledged that they hold what they " +
      'should; counted by the node that took the last acknowledgement.',
    buckets: [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400],
    registers,
  });
  // A series begins at 0: Prometheus computes no rate for the first event of a series that begins with it.
  for (const decision of DECISIONS) decisions.inc({ decision }, 0);
  for (const [status, causes] of Object.entries(ENDINGS))
    for (const cause of causes) ended.inc({ status, cause }, 0);
  for (const guardrail of GUARDRAILS) trips.inc({ guardrail }, 0);

  return (events) => {
    // The record of a decision comes before the end that it leads to. A person who cancels leaves no record.
    let cause: Cause = 'COMMAND';
    const end = (status: EndedStatus) => {
      ended.inc({ status, cause });
      cause = 'COMMAND';
    };
    for (const event of events) {
      switch (event.type) {
        case 'DECISION_MADE':
          cause = event.record.cause;
          if (event.record.automatic) decisions.inc({ decision: event.record.decision });
          break;
        case 'CANARY_OBSERVATION_COMPLETE':
          // A decision that waits for a person ends nothing.
          if (event.waits) cause = 'COMMAND';
          break;
        case 'GUARDRAIL_TRIPPED':
          trips.inc({ guardrail: event.guardrail });
          break;
        case 'LEASE_EXPIRED':
          leases.inc();
          break;
        case 'ALLOCATION_SETTLED':
          if (event.breachToSafeMs !== undefined) breachToSafe.observe(event.breachToSafeMs / 1000);
          break;
        case 'CANARY_PROMOTED':
          end('PROMOTED');
          break;
        case 'CANARY_ROLLED_BACK':
          end('ROLLED_BACK');
          break;
        case 'CANARY_CANCELLED':
          end('CANCELLED');
          break;
        case 'CANARY_FAILED':
          end('FAILED');
          break;
        default:
      }
    }
  };
}
