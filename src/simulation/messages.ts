/** The messages between the server and its simulation thread. Configurations are sent in their JSON form. */
import type { z } from 'zod';
import type { configCodec } from '../core/config/codec.ts';
import type { Assumptions } from '../core/policy/assumptions.ts';
import type { CanaryKind, PolicySimulation } from '../core/policy/simulation.ts';

export interface StartJob {
  readonly type: 'START';
  readonly id: number;
  /** Another request waits for this job: it runs before all jobs that are not urgent. */
  readonly urgent: boolean;
  /** Who asked: callers have turns. */
  readonly caller: string;
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
      /** `TOO_LONG`: the caller asked for too much. `ENDED`: temporary. `FAULT`: a bug in Serin. */
      readonly reason: 'TOO_LONG' | 'ENDED' | 'FAULT';
      readonly message: string;
    };
