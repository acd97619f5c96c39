/** Who looks at the console, and what that role may do. */
import { createContext, useContext } from 'react';
import type { ViewerQuery } from '../api/generated/graphql';

export type Viewer = ViewerQuery['viewer'];

export const ViewerContext = createContext<Viewer>({ actor: '', role: 'VIEWER', strategies: null });

export const useViewer = (): Viewer => useContext(ViewerContext);
