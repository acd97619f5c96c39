/** Starts the console in the page. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { isPassing } from './api/client';
import { currentLink, onLinkChange } from './api/link';
import { onSessionChange } from './api/session';
import { readEarly } from './overview/useDeployments';
import { applyTheme } from './ui/theme';
import './styles/index.css';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      // What the API refuses it refuses again; what passes is tried for half a minute.
      retry: (failures, error) => isPassing(error) && failures < 5,
      refetchOnWindowFocus: true,
    },
  },
});
// What one caller was answered is not for the next.
onSessionChange(() => queries.clear());
// A list that could not be read while Serin was away is read when it is back.
onLinkChange(() => {
  if (currentLink().state !== 'live') return;
  void queries.refetchQueries({ type: 'active', predicate: ({ state }) => isPassing(state.error) });
});

applyTheme();
if (location.pathname === '/') readEarly();
const place = document.getElementById('console');
if (place) {
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
