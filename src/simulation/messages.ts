/** What the server and its simulation thread say to each other. Configurations cross in their JSON form. */
import type { z } from 'zod';
import type { configCodec } from '../core/config/codec.ts';
import type { Assumptions } from '../core/policy/assumptions.ts';
import type { CanaryKind, PolicySimulation } from '../core/policy/simulation.ts';

export interface StartJob {
  readonly type: 'START';
  readonly id: number;
  /** Somebody waits for an answer to something else: before all jobs that are not urgent. */
  readonly urgent: boolean;
  readonly config: z.input<typeof configCodec>;
  readonly assumptions: Assumptions;
  readonly kinds: readonly CanaryKind[];
}

export type ToThread = StartJob | { readonly type: 'CANCEL'; readonly id: number };

export type FromThread =
  | {
      readonly type: 'REPORT';
      readonly id: number;
      readonly report: PolicySimulation;
      readonly done: boolean;
    }
  | {
      readonly type: 'FAILED';
      readonly id: number;
      /** `TOO_LONG` is the caller's to mend, `ENDED` passes, `FAULT` is ours. */
      readonly reason: 'TOO_LONG' | 'ENDED' | 'FAULT';
      readonly message: string;
    };
