/** The API in components: queries through TanStack Query, subscriptions as state that says how old it is. */
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useState, useSyncExternalStore } from 'react';
import { type ApiError, request, subscribe } from './client';
import type { TypedDocumentString } from './generated/graphql';
import { currentLink, type Link, onLinkChange } from './link';
import { currentSession, onSessionChange, type Session } from './session';

export const useSession = (): Session => useSyncExternalStore(onSessionChange, currentSession);
export const useLink = (): Link => useSyncExternalStore(onLinkChange, currentLink);

type Variables = Record<string, unknown>;

export interface QueryOptions {
  readonly refetchMs?: number;
  readonly enabled?: boolean;
}

/** One query, kept under its document and variables. */
export function useApi<Result, V extends Variables>(
  document: TypedDocumentString<Result, V>,
  variables: V,
  { refetchMs, enabled = true }: QueryOptions = {},
): UseQueryResult<Result, Error> {
  return useQuery({
    queryKey: [document.toString(), variables],
    queryFn: ({ signal }) => request(document, variables, signal),
    enabled,
    ...(refetchMs === undefined ? {} : { refetchInterval: refetchMs }),
  });
}

/** Hands every delivery to `next`; answers the error that ended the subscription. No variables: no subscription. */
export function useDeliveries<Result, V extends Variables>(
  document: TypedDocumentString<Result, V>,
  variables: V | null,
  next: (data: Result) => void,
): ApiError | null {
  const [error, setError] = useState<ApiError | null>(null);
  const deliver = useEffectEvent(next);
  const key = variables === null ? null : JSON.stringify(variables);
  useEffect(() => {
    if (key === null) return;
    setError(null);
    const given: V = JSON.parse(key);
    return subscribe(document, given, { next: (data) => deliver(data), error: setError });
  }, [document, key]);
  return error;
}
