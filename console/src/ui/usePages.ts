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

export function usePages<Result, Node>(
  document: TypedDocumentString<Result, { first: number; after?: string | null }>,
  pick: (result: Result) => Page<Node>,
  /** Reads anew after so many milliseconds, for values that change by themselves. */
  refreshEveryMs: number | false = false,
): Pages<Node> {
  const query = useInfiniteQuery({
    queryKey: [document.toString()],
    queryFn: async ({ pageParam, signal }) =>
      pick(await request(document, { first: PAGE, after: pageParam }, signal)),
    refetchInterval: refreshEveryMs,
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
