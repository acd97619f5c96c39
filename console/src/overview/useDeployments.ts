/** The live deployments, and the course of each in few points. */
import { useEffect, useState, useSyncExternalStore } from 'react';
import type { CardFragment } from '../api/generated/graphql';
import { onSessionChange } from '../api/session';
import { type Curves, createCurveStore } from './curveStore';
import { createDeploymentStore, type DeploymentList } from './deploymentStore';

let deployments = createDeploymentStore();
let curves = createCurveStore();
// What one caller saw is not for the next.
onSessionChange(() => {
  deployments = createDeploymentStore();
  curves = createCurveStore();
});

/** The overview must have asked for the list within this time, ms. */
const EARLY_MS = 10_000;

/** Asks for the list before the page knows its viewer: the connection and the first picture are under way meanwhile. */
export function readEarly(): void {
  setTimeout(
    deployments.subscribe(() => {}),
    EARLY_MS,
  );
}

export function useDeployments(): DeploymentList {
  const [store] = useState(deployments);
  return useSyncExternalStore(store.subscribe, store.current);
}

/** The course of each of these; those that are not read yet are missing. */
export function useCurves(cards: readonly CardFragment[]): ReadonlyMap<string, Curves> {
  const [store] = useState(curves);
  useEffect(() => store.want(cards), [store, cards]);
  return useSyncExternalStore(store.subscribe, store.current);
}
