/** A list that is read page by page. */
import { type InfiniteData, type UseInfiniteQueryResult, useInfiniteQuery } from '@tanstack/react-query';
import { request } from '../api/client';
import type { TypedDocumentString } from '../api/generated/graphql';

interface Page<Node> {
  readonly nodes: readonly Node[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export interface Pages<Node> {
  readonly items: readonly Node[];
  readonly error: Error | null;
  readonly loading: boolean;
  /** Reads the next page; null where there is none. */
  readonly more: (() => void) | null;
  refresh(): void;
}

const PAGE = 50;
/** No event tells of what changes in a list: it is read anew after so many ms for each page of it. */
const REFRESH_MS = 5_000;

interface QueryOfPages {
  readonly state: { readonly data?: { readonly pages: readonly unknown[] } | undefined };
}

/** When a list is read anew: all of its pages are, so more of them less often. */
export const refreshOf = ({ state }: QueryOfPages): number =>
  REFRESH_MS * Math.max(1, state.data?.pages.length ?? 1);

export function usePages<Result, Node>(
  document: TypedDocumentString<Result, { first: number; after?: string | null }>,
  pick: (result: Result) => Page<Node>,
): Pages<Node> {
  const query = useInfiniteQuery({
    queryKey: [document.toString()],
    queryFn: async ({ pageParam, signal }) =>
      pick(await request(document, { first: PAGE, after: pageParam }, signal)),
    refetchInterval: refreshOf,
    initialPageParam: null as string | null,
    getNextPageParam: nextPage,
  });
  return asPages(query);
}

/** Where a query of pages continues. */
export const nextPage = ({ pageInfo }: Page<unknown>): string | null =>
  pageInfo.hasNextPage ? pageInfo.endCursor : null;

type Query<Node> = Pick<
  UseInfiniteQueryResult<InfiniteData<Page<Node>>>,
  'data' | 'error' | 'isPending' | 'hasNextPage' | 'fetchNextPage' | 'refetch'
>;

/** A query of pages as a list of what they hold. */
export function asPages<Node>(query: Query<Node>): Pages<Node> {
  const { data, error, isPending, hasNextPage, fetchNextPage, refetch } = query;
  return {
    items: data?.pages.flatMap(({ nodes }) => [...nodes]) ?? [],
    error,
    loading: isPending,
    more: hasNextPage ? () => void fetchNextPage() : null,
    refresh: () => void refetch(),
  };
}
