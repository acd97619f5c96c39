/** Gauges of what costs money: decisions that wait for people, capital at work, silent bots, freezes, unfinished halts. */
import { Gauge, type Registry } from 'prom-client';
import type { CanaryGauges } from '../../app/canaryGauges.ts';

/** Creates the gauges. Returns the function that sets them. */
export function createCanaryGauges(registry: Registry): (gauges: CanaryGauges) => void {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const waiting = gauge(
    'serin_deployments_waiting',
    'Deployments that wait for a person: for a decision, or for the approval of a promotion or of a configuration.',
  );
  const waitingByKind = gauge('serin_decisions_waiting', 'The same, by what a person is to do.', ['kind']);
  const waitingSeconds = gauge(
    'serin_decision_waiting_seconds',
    "How long the oldest of them has waited, in Serin's seconds; 0 if none waits.",
  );
  const capital = gauge(
    'serin_capital_on_trial_usd',
    'What live canaries say they hold, or were asked to hold where they never acknowledge.',
  );
  const silent = gauge(
    'serin_silent_sides',
    'Running deployments of which this side has had no news for half of maxStaleSeconds.',
    ['side'],
  );
  const held = gauge(
    'serin_canaries_held',
    'Deployments whose next step, or whose promotion, waits for the end of a freeze.',
    ['block'],
  );
  const freezes = gauge('serin_freezes_active', 'Freezes that block now, by what they block.', ['block']);
  const unfinishedHalt = gauge(
    'serin_halt_unfinished_seconds',
    "Age of the oldest halt that was not carried out to its end, in Serin's seconds; 0 if there is none.",
  );
  return (gauges) => {
    waiting.set(gauges.waiting.total);
    for (const [kind, count] of Object.entries(gauges.waiting.counts)) waitingByKind.set({ kind }, count);
    waitingSeconds.set(gauges.waiting.oldestSeconds);
    capital.set(gauges.capitalOnTrialUsd);
    silent.set({ side: 'CANARY' }, gauges.silentCanaries);
    silent.set({ side: 'STABLE' }, gauges.silentStables);
    held.set({ block: 'STEP_UP' }, gauges.heldSteps);
    held.set({ block: 'PROMOTE' }, gauges.heldPromotions);
    for (const [block, count] of Object.entries(gauges.freezes)) freezes.set({ block }, count);
    unfinishedHalt.set(gauges.unfinishedHaltSeconds);
  };
}
