/**
 * The course of every deployment of the overview in few points, read in batches one after the other and anew after each
 * check. Reading never waits for the list to be quiet, and never runs twice at once.
 */
import { request } from '../api/client';
import { type CardFragment, CurvesDocument } from '../api/generated/graphql';

export interface Curves {
  /** Return since the start, a fraction; null where the side had not reported. */
  readonly canary: readonly (number | null)[];
  readonly stable: readonly (number | null)[];
}

/** Deployments whose course is read in one request. */
const TOGETHER = 25;
/** Between two rounds, ms: courses move slowly. */
const PAUSE_MS = 1_000;

export interface CurveStore {
  /** These are shown now, in this order. */
  want(cards: readonly CardFragment[]): void;
  current(): ReadonlyMap<string, Curves>;
  subscribe(listener: () => void): () => void;
}

/** A check has a new point: it moves the time of the next one. */
const versionOf = ({ nextCheckAt, status }: CardFragment) => `${nextCheckAt} ${status}`;

export function createCurveStore(): CurveStore {
  let curves: ReadonlyMap<string, Curves> = new Map();
  const versions = new Map<string, string>();
  let shown: readonly CardFragment[] = [];
  let running = false;
  const listeners = new Set<() => void>();

  async function run(): Promise<void> {
    running = true;
    while (listeners.size > 0) {
      const wanted = shown.filter(
        (card) => card.startedAt !== null && versions.get(card.id) !== versionOf(card),
      );
      const first = wanted.filter(({ id }) => !versions.has(id));
      // What has no picture yet comes before what has an older one.
      const batch = (first.length > 0 ? first : wanted).slice(0, TOGETHER);
      if (batch.length === 0) break;
      await read(batch);
      if (first.length <= batch.length) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    running = false;
  }

  async function read(batch: readonly CardFragment[]): Promise<void> {
    const answer = await request(CurvesDocument, { ids: batch.map(({ id }) => id) }).catch(() => null);
    if (!answer) return;
    const next = new Map(curves);
    for (const [index, card] of batch.entries()) {
      const node = answer.nodes[index];
      const points = node && 'series' in node ? node.series.points : [];
      versions.set(card.id, versionOf(card));
      next.set(card.id, {
        canary: points.map(({ canaryReturn }) => canaryReturn),
        stable: points.map(({ stableReturn }) => stableReturn),
      });
    }
    curves = next;
    for (const listener of listeners) listener();
  }

  return {
    want(cards) {
      shown = cards;
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
