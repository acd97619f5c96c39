/** Pairs of returns by signal: they come with a check, and take the place of what was earned between two checks. */
import { expect, test } from 'vitest';
import { CanaryDeployment } from '../../src/core/index.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { handle } from '../../src/core/lifecycle/handle.ts';
import { defaultAssumptions } from '../../src/core/policy/assumptions.ts';
import { createReplay } from '../../src/core/policy/replay.ts';
import { simulatePolicy } from '../../src/core/policy/simulation.ts';
import { configOf, NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const BY_SIGNAL = { evidence: { pairing: 'SIGNAL' as const } };

test('they come with the check, in any number; what was earned between two checks is no pair', () => {
  const trial = new Trial({ ...BY_SIGNAL, guardrails: NO_GUARDRAILS });
  trial.earn(50, 90);
  expect(trial.check()).toEqual(['CANARY_METRICS_UPDATED']);
  expect(trial.evidence.whenEarning.sums.n).toBe(0);
  trial.wait(60);
  const signals = [
    { signalId: 'a', canary: 0.01, stable: 0.02 },
    { signalId: 'b', canary: -0.01, stable: 0 },
  ];
  const facts = { ...trial.facts, signals, actor: 'serin' };
  const handled = handle(trial.state, { type: 'CHECK', failure: null }, facts);
  if (!handled.accepted) throw new Error(handled.refusal.message);
  trial.state = handled.state;
  expect(trial.evidence.whenEarning.sums.n).toBe(2);
  // (0.01 - 0.9 * 0.02 - 0.01) / 2
  expect(trial.evidence.whenEarning.sums.mean).toBeCloseTo(-0.009, 15);
  expect(trial.evidence.difference.mean).toBeCloseTo(-0.01, 15);
  expect(replay([...trial.log, ...handled.events])).toEqual(handled.state);
});

test('a simulation, and a replay of a record without signals, take the pairs of checks', () => {
  const assumptions = { ...defaultAssumptions(configOf()), runs: 5 };
  const simulated = (config: object) => simulatePolicy(configOf(config), assumptions).canaries;
  expect(simulated(BY_SIGNAL)).toEqual(simulated({}));
  const trial = new Trial({ guardrails: NO_GUARDRAILS });
  const asked = createReplay(configOf(BY_SIGNAL));
  for (const event of trial.log) asked.take(event, null);
  expect(asked.result().notes).toContainEqual(expect.stringContaining('no pairs by signal'));
});

test('a record with signals is replayed with them', () => {
  const trial = new Trial({ ...BY_SIGNAL, observationPeriodMinutes: 60, guardrails: NO_GUARDRAILS });
  const replayed = createReplay(configOf({ ...BY_SIGNAL, guardrails: NO_GUARDRAILS }));
  for (const event of trial.log) replayed.take(event, null);
  for (let check = 1; check <= 60 && trial.status === 'RUNNING'; check += 1) {
    trial.wait(60);
    trial.earn(-40, 90);
    const seed = Math.sin(check) / 1000;
    const signals = [{ signalId: `s${check}`, canary: seed - 0.004, stable: seed + 0.001 }];
    const facts = { ...trial.facts, signals, actor: 'serin' };
    const handled = handle(trial.state, { type: 'CHECK', failure: null }, facts);
    if (!handled.accepted) throw new Error(handled.refusal.message);
    trial.state = handled.state;
    for (const event of handled.events) {
      const { metrics, now } = trial;
      const sampled = event.type === 'CANARY_METRICS_UPDATED';
      replayed.take(event, sampled ? { check, at: now, decision: event.decision, metrics } : null);
    }
  }
  expect(trial.status).toBe('ROLLED_BACK');
  expect(replayed.result()).toMatchObject({ outcome: 'ROLLED_BACK', notes: [] });
});

test('they need the server: a program that embeds the engine takes no trades', () => {
  const names = { strategyId: 's', stableVersionId: 'v1', canaryVersionId: 'v2' };
  expect(() => new CanaryDeployment({ ...names, config: BY_SIGNAL })).toThrow('config.evidence.pairing');
});
