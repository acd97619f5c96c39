/**
 * The return curves of every deployment of the overview in few points: read in batches, one after the other, then continued with
 * the figures that the list brings at each check, so that an open console asks for nothing. It is read anew where a check
 * was missed, and from time to time.
 */
import { request } from '../api/client';
import { type CardFragment, CurvesDocument } from '../api/generated/graphql';
import { returnOf } from './risk';

export interface Curves {
  /** Return since the start, a fraction; null where the side had not reported. */
  readonly canary: readonly (number | null)[];
  readonly stable: readonly (number | null)[];
}

/** Deployments whose curves are read in one request. */
const TOGETHER = 25;
/** Between two rounds, ms: states move slowly. */
const PAUSE_MS = 1_000;

export interface CurveStore {
  /** These are shown now, in this order. */
  want(cards: readonly CardFragment[]): void;
  current(): ReadonlyMap<string, Curves>;
  subscribe(listener: () => void): () => void;
}

/** A curve is read anew after so many points were added here, which also thins it. */
const READ_AFTER_POINTS = 60;
/** A check that comes later than this many intervals has others before it that were not seen here. */
const NEXT_WITHIN_INTERVALS = 1.5;

/** The state of a deployment when its curves were last continued. */
interface CurveState {
  readonly nextCheckAt: string | null;
  readonly status: string;
  /** Points that were added here since it was read. */
  readonly added: number;
}

export function createCurveStore(): CurveStore {
  let curves: ReadonlyMap<string, Curves> = new Map();
  const states = new Map<string, CurveState>();
  let shown: readonly CardFragment[] = [];
  let running = false;
  const listeners = new Set<() => void>();

  function show(next: ReadonlyMap<string, Curves>): void {
    curves = next;
    for (const listener of listeners) listener();
  }

  /** Adds the point of a check whose figures the list has brought already. */
  function addChecks(): void {
    let changed = false;
    const next = new Map(curves);
    for (const card of shown) {
      const state = states.get(card.id);
      const curve = next.get(card.id);
      if (!state || !curve || !isNextCheck(state, card)) continue;
      states.set(card.id, stateOf(card, state.added + 1));
      next.set(card.id, {
        canary: [...curve.canary, returnOf(card.canaryMetrics)],
        stable: [...curve.stable, returnOf(card.stableMetrics)],
      });
      changed = true;
    }
    if (changed) show(next);
  }

  async function run(): Promise<void> {
    running = true;
    while (listeners.size > 0) {
      const wanted = shown.filter((card) => card.startedAt !== null && !isCurrent(states.get(card.id), card));
      const first = wanted.filter(({ id }) => !states.has(id));
      // Deployments without curves come before those with older ones.
      const batch = (first.length > 0 ? first : wanted).slice(0, TOGETHER);
      if (batch.length === 0) break;
      const answered = await read(batch);
      if (!answered || first.length <= batch.length)
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    running = false;
  }

  /** @returns whether it was answered */
  async function read(batch: readonly CardFragment[]): Promise<boolean> {
    const answer = await request(CurvesDocument, { ids: batch.map(({ id }) => id) }).catch(() => null);
    if (!answer) return false;
    const next = new Map(curves);
    for (const [index, card] of batch.entries()) {
      const node = answer.nodes[index];
      const points = node && 'series' in node ? node.series.points : [];
      states.set(card.id, stateOf(card, 0));
      next.set(card.id, {
        canary: points.map(({ canaryReturn }) => canaryReturn),
        stable: points.map(({ stableReturn }) => stableReturn),
      });
    }
    show(next);
    return true;
  }

  return {
    want(cards) {
      shown = cards;
      addChecks();
      if (!running) void run();
    },
    current: () => curves,
    subscribe(listener) {
      listeners.add(listener);
      if (!running) void run();
      return () => listeners.delete(listener);
    },
  };
}

const stateOf = ({ nextCheckAt, status }: CardFragment, added: number): CurveState => ({
  nextCheckAt,
  status,
  added,
});

/** A check moves the time of the next one, and has a new point. */
const isCurrent = (state: CurveState | undefined, { nextCheckAt, status }: CardFragment): boolean =>
  state?.nextCheckAt === nextCheckAt && state.status === status;

/** Whether only the point of the latest check is missing. */
function isNextCheck({ nextCheckAt, status, added }: CurveState, card: CardFragment): boolean {
  if (nextCheckAt === null || card.nextCheckAt === null) return false;
  if (status !== 'RUNNING' || card.status !== status || added >= READ_AFTER_POINTS) return false;
  const seconds = (Date.parse(card.nextCheckAt) - Date.parse(nextCheckAt)) / 1000;
  return seconds > 0 && seconds <= NEXT_WITHIN_INTERVALS * card.config.checkIntervalSeconds;
}
