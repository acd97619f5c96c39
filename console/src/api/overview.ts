/** The overview of all deployments, kept for the whole console: the header and the overview page show parts of it. */
import { createContext, useContext } from 'react';
import type { ApiError } from './client';
import type { OverviewSubscription } from './generated/graphql';

export type OverviewData = OverviewSubscription['overviewUpdated'];

interface OverviewState {
  /** Null until it has come. */
  readonly data: OverviewData | null;
  /** Why nothing comes. */
  readonly error: ApiError | null;
}

export const OverviewContext = createContext<OverviewState>({ data: null, error: null });

export const useOverview = (): OverviewState => useContext(OverviewContext);
