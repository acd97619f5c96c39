/** The overview of all deployments, kept for the whole console: the header and the overview page show parts of it. */
import { createContext, useContext } from 'react';
import type { OverviewSubscription } from './generated/graphql';

export type OverviewData = OverviewSubscription['overviewUpdated'];

export const OverviewContext = createContext<OverviewData | null>(null);

export const useOverview = (): OverviewData | null => useContext(OverviewContext);
