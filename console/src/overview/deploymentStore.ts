/**
 * The live deployments that the viewer sees, fed by one subscription. A change of one deployment is an event of its own,
 * so that a list of two hundred draws one card anew and not all of them.
 */
import type { ApiError } from '../api/client';
import { follow } from '../api/client';
import { type CardFragment, LiveDeploymentsDocument } from '../api/generated/graphql';

export interface DeploymentList {
  readonly cards: ReadonlyMap<string, CardFragment>;
  /** Whether everything that was live is there. */
  readonly complete: boolean;
  readonly error: ApiError | null;
}

/** A change is shown at once, those that follow it closely are shown together: at most so often, ms. */
const SHOW_EVERY_MS = 60;

export interface DeploymentStore {
  current(): DeploymentList;
  subscribe(listener: () => void): () => void;
}

export function createDeploymentStore(): DeploymentStore {
  let cards = new Map<string, CardFragment>();
  let list: DeploymentList = { cards, complete: false, error: null };
  /** Those of the first snapshot after an interruption; what was there before and is not among them has ended. */
  let snapshot: Set<string> | null = new Set();
  const listeners = new Set<() => void>();
  let shownAt = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let stop: (() => void) | null = null;

  function show(change: Partial<DeploymentList> = {}): void {
    shownAt = performance.now();
    list = { ...list, ...change, cards: new Map(cards) };
    for (const listener of listeners) listener();
  }

  function showSoon(): void {
    timer ??= setTimeout(
      () => {
        timer = null;
        show();
      },
      Math.max(0, shownAt + SHOW_EVERY_MS - performance.now()),
    );
  }

  function begin(): void {
    stop = follow(
      LiveDeploymentsDocument,
      {},
      {
        next({ deploymentsUpdated: { deploymentId, deployment, complete } }) {
          if (deployment) {
            snapshot?.add(deployment.id);
            cards.set(deployment.id, deployment);
          } else if (deploymentId !== null) cards.delete(deploymentId);
          if (!snapshot || !complete) {
            if (!snapshot) showSoon();
            return;
          }
          const seen = snapshot;
          snapshot = null;
          cards = new Map([...cards].filter(([id]) => seen.has(id)));
          show({ complete: true, error: null });
        },
        error: (error) => show({ error }),
        interrupted: () => {
          snapshot = new Set();
        },
      },
    );
  }

  return {
    current: () => list,
    subscribe(listener) {
      listeners.add(listener);
      if (!stop) begin();
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        stop?.();
        stop = null;
        if (timer !== null) clearTimeout(timer);
        timer = null;
        snapshot = new Set();
      };
    },
  };
}
