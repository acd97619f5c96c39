/** Starts the console in the page. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { ApiError } from './api/client';
import { onSessionChange } from './api/session';
import { readEarly } from './overview/useDeployments';
import { applyTheme } from './ui/theme';
import './styles/index.css';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      // What the API refuses it refuses again; what did not reach it is tried until it does.
      retry: (failures, error) => error instanceof ApiError && error.code === 'NETWORK' && failures < 5,
      refetchOnWindowFocus: true,
    },
  },
});
// What one caller was answered is not for the next.
onSessionChange(() => queries.clear());

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
