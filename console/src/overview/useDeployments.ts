/** The live deployments that the viewer sees, kept current. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { request } from '../api/client';
import { setClock } from '../api/clock';
import { type CardFragment, LiveDeploymentsDocument, StateChangesDocument } from '../api/generated/graphql';
import { useDeliveries } from '../api/hooks';

export interface LiveDeployments {
  readonly cards: readonly CardFragment[];
  readonly loading: boolean;
  readonly error: Error | null;
}

const REFRESH_MS = 2_000;

export function useDeployments(): LiveDeployments {
  const { data, error, isPending } = useQuery({
    queryKey: ['live'],
    queryFn: async ({ signal }) => {
      const answer = await request(LiveDeploymentsDocument, {}, signal);
      setClockFrom(answer.deployments.nodes);
      return answer.deployments.nodes;
    },
    refetchInterval: REFRESH_MS,
  });
  const queries = useQueryClient();
  useDeliveries(StateChangesDocument, {}, () => void queries.invalidateQueries({ queryKey: ['live'] }));
  const cards = useMemo(() => data ?? [], [data]);
  return { cards, loading: isPending, error };
}

/** A running deployment tells Serin's time to the second. */
function setClockFrom(cards: readonly CardFragment[]): void {
  const running = cards.find(
    ({ status, observationDeadline }) => status === 'RUNNING' && observationDeadline,
  );
  if (!running?.observationDeadline) return;
  setClock(Date.parse(running.observationDeadline) - running.observationRemainingSeconds * 1000);
}
