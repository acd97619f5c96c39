/** A policy checked as it is typed, and simulated with progress. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { ApiError, request, subscribe } from '../api/client';
import {
  type CanaryConfigInput,
  CheckPolicyDocument,
  type PolicyAssumptionsInput,
  SimulatePolicyDocument,
  type SimulationFieldsFragment,
} from '../api/generated/graphql';

/** Typing is left alone for so long before the policy is checked. */
const SETTLE_MS = 350;

export interface PolicyProblem {
  readonly message: string;
  /** The setting as the form names it: `promotionCriteria.minPnlRatio`. */
  readonly path: string;
}

/** No deployment has this id: a replay on it reads the policy and does nothing more. */
const NO_DEPLOYMENT = 'dep_none';

/** What the API says of a policy; null while it takes it. */
export function usePolicyProblem(config: CanaryConfigInput): PolicyProblem | null {
  const settled = useSettled(JSON.stringify(config));
  const { error } = useQuery({
    queryKey: ['policy', settled],
    queryFn: ({ signal }) => {
      const asked: CanaryConfigInput = JSON.parse(settled);
      return request(CheckPolicyDocument, { id: NO_DEPLOYMENT, config: asked }, signal);
    },
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (!(error instanceof ApiError) || error.code !== 'BAD_USER_INPUT') return null;
  const field = error.path
    .slice(error.path.indexOf('config') + 1)
    .filter((part) => !/^\d+$/.test(part))
    .slice(0, error.path.includes('steps') ? 1 : 2);
  return { message: error.message, path: field.join('.') };
}

/** The value once typing has paused. */
export function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** How much better, in standard deviations between two checks, the canaries of the power curve are. */
const DIFFERENCES = [0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1] as const;
/** Trials a point of the power curve. */
const CURVE_RUNS = 200;

/** How often canaries of a certain worth are promoted and rolled back. */
export interface PowerPoint {
  /** Mean difference from stable, in standard deviations between two checks. */
  readonly difference: number;
  readonly promoted: number;
  readonly rolledBack: number;
}

export interface Simulated {
  /** What it is of, as {@link writeJob} writes it. */
  readonly of: string | null;
  readonly simulation: SimulationFieldsFragment | null;
  readonly power: readonly PowerPoint[];
  readonly running: boolean;
  readonly problem: string | null;
}

const NOTHING: Simulated = { of: null, simulation: null, power: [], running: false, problem: null };

/** A policy with its assumptions as a text: equal for equal ones. */
export const writeJob = (config: CanaryConfigInput, assumptions: PolicyAssumptionsInput): string =>
  JSON.stringify([config, assumptions]);

export interface Simulation extends Simulated {
  start(config: CanaryConfigInput, assumptions: PolicyAssumptionsInput): void;
  stop(): void;
}

export function useSimulation(): Simulation {
  const [simulated, setSimulated] = useState<Simulated>(NOTHING);
  const [job, setJob] = useState<{ config: CanaryConfigInput; assumptions: PolicyAssumptionsInput } | null>(
    null,
  );
  useEffect(() => {
    if (!job) return;
    const leaving = new AbortController();
    setSimulated({ ...NOTHING, of: writeJob(job.config, job.assumptions), running: true });
    const update = (change: Partial<Simulated>) => {
      if (!leaving.signal.aborted) setSimulated((before) => ({ ...before, ...change }));
    };
    run(job, update, leaving.signal).then(
      () => update({ running: false }),
      (error: unknown) =>
        update({ running: false, problem: error instanceof Error ? error.message : String(error) }),
    );
    return () => leaving.abort();
  }, [job]);
  return {
    ...simulated,
    start: (config, assumptions) => setJob({ config, assumptions }),
    stop: () => {
      setJob(null);
      setSimulated((before) => ({ ...before, running: false }));
    },
  };
}

async function run(
  { config, assumptions }: { config: CanaryConfigInput; assumptions: PolicyAssumptionsInput },
  update: (change: Partial<Simulated>) => void,
  signal: AbortSignal,
): Promise<void> {
  await simulate(config, assumptions, signal, (simulation) => update({ simulation }));
  const power: PowerPoint[] = [];
  for (const difference of DIFFERENCES) {
    if (signal.aborted) return;
    const last = await simulate(config, { ...assumptions, difference, runs: CURVE_RUNS }, signal, () => {});
    for (const { kind, promoted, rolledBack } of last?.canaries ?? []) {
      if (kind === 'IDENTICAL' && difference !== DIFFERENCES[0]) continue;
      const sign = { WORSE: -1, IDENTICAL: 0, BETTER: 1 }[kind];
      power.push({
        difference: sign * difference,
        promoted: promoted.value,
        rolledBack: rolledBack.value,
      });
    }
    update({ power: [...power].sort((a, b) => a.difference - b.difference) });
  }
}

/** Runs one simulation; answers its last report. */
function simulate(
  config: CanaryConfigInput,
  assumptions: PolicyAssumptionsInput,
  signal: AbortSignal,
  report: (simulation: SimulationFieldsFragment) => void,
): Promise<SimulationFieldsFragment | null> {
  return new Promise((resolve, reject) => {
    let latest: SimulationFieldsFragment | null = null;
    const stop = subscribe(
      SimulatePolicyDocument,
      { config, assumptions },
      {
        next: ({ policySimulation }) => {
          latest = policySimulation;
          report(policySimulation);
          if (policySimulation.complete) resolve(policySimulation);
        },
        error: reject,
        complete: () => resolve(latest),
      },
    );
    signal.addEventListener('abort', () => {
      stop();
      resolve(latest);
    });
  });
}
