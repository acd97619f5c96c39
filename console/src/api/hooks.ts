/** The API in components: queries through TanStack Query, subscriptions as state that says how old it is. */
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useState, useSyncExternalStore } from 'react';
import { type ApiError, type Follower, follow, request } from './client';
import type { TypedDocumentString } from './generated/graphql';
import { currentLink, type Link, onLinkChange } from './link';
import { currentSession, onSessionChange, type Session } from './session';

export const useSession = (): Session => useSyncExternalStore(onSessionChange, currentSession);
export const useLink = (): Link => useSyncExternalStore(onLinkChange, currentLink);

type Variables = Record<string, unknown>;

export interface QueryOptions {
  readonly refetchMs?: number;
  readonly enabled?: boolean;
  /** What else the answer depends on: another value is another question. */
  readonly of?: string | number;
}

/** One query, kept under its document and variables. */
export function useApi<Result, V extends Variables>(
  document: TypedDocumentString<Result, V>,
  variables: V,
  { refetchMs, enabled = true, of }: QueryOptions = {},
): UseQueryResult<Result, Error> {
  return useQuery({
    queryKey: [document.toString(), variables, of],
    queryFn: ({ signal }) => request(document, variables, signal),
    enabled,
    ...(refetchMs === undefined ? {} : { refetchInterval: refetchMs }),
  });
}

/** Hands every delivery to `next`; answers the error for which nothing comes. No variables: no subscription. */
export function useDeliveries<Result, V extends Variables>(
  document: TypedDocumentString<Result, V>,
  variables: V | null,
  next: (data: Result) => void,
  { interrupted, silentStart = false }: Pick<Follower<Result>, 'interrupted' | 'silentStart'> = {},
): ApiError | null {
  const [error, setError] = useState<ApiError | null>(null);
  const deliver = useEffectEvent((data: Result) => {
    setError(null);
    next(data);
  });
  const miss = useEffectEvent(() => interrupted?.());
  const key = variables === null ? null : JSON.stringify(variables);
  useEffect(() => {
    if (key === null) return;
    setError(null);
    const given: V = JSON.parse(key);
    return follow(document, given, {
      next: (data) => deliver(data),
      error: setError,
      interrupted: () => miss(),
      silentStart,
    });
  }, [document, key, silentStart]);
  return error;
}
