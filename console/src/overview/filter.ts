/** What of the overview is shown and in which order; it stands in the address, so that a view can be shared. */
import type { CanaryStatus, CardFragment } from '../api/generated/graphql';
import { canaryHeldUsd, guardrailDistances, waitsForPerson } from './risk';

export const SORTS = { risk: 'Risk', left: 'Time left', started: 'Newest', strategy: 'Strategy' } as const;
export type Sort = keyof typeof SORTS;

export const LIVE_STATUSES = [
  'PENDING',
  'RUNNING',
  'PAUSED',
  'OBSERVATION_COMPLETE',
] as const satisfies CanaryStatus[];

export interface View {
  readonly search: string;
  readonly status: CanaryStatus | null;
  readonly chain: string | null;
  readonly sort: Sort;
}

export function readView(params: URLSearchParams): View {
  const status = LIVE_STATUSES.find((each) => each === params.get('status'));
  const sort = params.get('sort');
  return {
    search: params.get('q') ?? '',
    status: status ?? null,
    chain: params.get('chain'),
    sort: isSort(sort) ? sort : 'risk',
  };
}

const isSort = (text: string | null): text is Sort => text !== null && text in SORTS;

/** Deployments that the view shows, in its order; what waits for a person always comes first. */
export function arrange(cards: readonly CardFragment[], view: View, now: number): CardFragment[] {
  const found = matcher(view.search);
  const shown = cards.filter(
    (card) =>
      (view.status === null || card.status === view.status) &&
      (view.chain === null || card.chain === view.chain) &&
      found(card),
  );
  const key = ORDER[view.sort];
  return shown
    .map((card) => ({ card, waits: waitsForPerson(card) ? 0 : 1, key: key(card, now) }))
    .sort((a, b) => a.waits - b.waits || compare(a.key, b.key) || compare(a.card.id, b.card.id))
    .map(({ card }) => card);
}

const compare = (a: number | string, b: number | string) => (a < b ? -1 : a > b ? 1 : 0);

const ORDER: Record<Sort, (card: CardFragment, now: number) => number | string> = {
  risk: (card, now) => -riskOf(card, now),
  left: (card) =>
    card.observationDeadline === null ? Number.POSITIVE_INFINITY : Date.parse(card.observationDeadline),
  started: (card) => -Date.parse(card.startedAt ?? card.createdAt),
  strategy: ({ strategyId }) => strategyId.toLowerCase(),
};

/** Nearest to a limit first, in steps of a tenth, so that cards do not jump at every report; then the larger capital. */
function riskOf(card: CardFragment, now: number): number {
  const used = Math.max(0, ...guardrailDistances(card, now).map((distance) => distance.used));
  return Math.min(10, Math.floor(used * 10)) * 1e12 + canaryHeldUsd(card);
}

/** A text that contains `*` is a pattern of strategy names; others are looked for in names, versions, chain and id. */
function matcher(search: string): (card: CardFragment) => boolean {
  const text = search.trim().toLowerCase();
  if (text === '') return () => true;
  if (text.includes('*')) {
    const source = text
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*');
    const pattern = new RegExp(`^${source}$`);
    return ({ strategyId }) => pattern.test(strategyId.toLowerCase());
  }
  return ({ strategyId, chain, canaryVersionId, stableVersionId, id }) =>
    [strategyId, chain, canaryVersionId, stableVersionId, id].some((field) =>
      field.toLowerCase().includes(text),
    );
}
