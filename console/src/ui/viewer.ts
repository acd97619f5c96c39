/** Who looks at the console, and what that role may do. */
import { createContext, useContext } from 'react';
import type { Role, ViewerQuery } from '../api/generated/graphql';

export type Viewer = ViewerQuery['viewer'];

export const ViewerContext = createContext<Viewer>({ actor: '', role: 'VIEWER', strategies: null });

export const useViewer = (): Viewer => useContext(ViewerContext);

const ROLES: readonly Role[] = ['VIEWER', 'BOT', 'OPERATOR', 'ADMIN'];

/** Whether the viewer's role is this one or reaches further. */
export function useMay(least: Role): boolean {
  return ROLES.indexOf(useViewer().role) >= ROLES.indexOf(least);
}
