/** The frame of the console: who is signed in, the pages, and what every page shows. */
import { CSPProvider } from '@base-ui/react/csp-provider';
import { lazy, type ReactElement, Suspense, useMemo, useState } from 'react';
import { Route, Switch } from 'wouter';
import { setClock } from './api/clock';
import { OverviewDocument, ViewerDocument } from './api/generated/graphql';
import { useApi, useDeliveries, useSession } from './api/hooks';
import { OverviewContext, type OverviewData } from './api/overview';
import { Overview } from './overview/Overview';
import { SignIn } from './SignIn';
import { EmptyState } from './ui/EmptyState';
import { Header } from './ui/Header';
import { Shortcuts } from './ui/Shortcuts';
import { StaleFrame } from './ui/StaleFrame';
import { ViewerContext } from './ui/viewer';

const Administration = lazy(() => import('./administration/Administration'));
const Creation = lazy(() => import('./creation/Creation'));
const Deployment = lazy(() => import('./deployment/Deployment'));
const History = lazy(() => import('./overview/History'));
const PolicyLab = lazy(() => import('./policy/PolicyLab'));
const Safety = lazy(() => import('./safety/Safety'));
const Strategies = lazy(() => import('./strategy/Strategies'));
const Strategy = lazy(() => import('./strategy/Strategy'));

export function App(): ReactElement {
  return (
    <CSPProvider disableStyleElements>
      <SignedIn />
    </CSPProvider>
  );
}

/** Reads the viewer; without accepted credentials the sign-in page is shown. */
function SignedIn(): ReactElement {
  const session = useSession();
  const { data, error, refetch, isPending } = useApi(ViewerDocument, {}, { enabled: !session.wanted });
  if (session.wanted) return <SignIn refusal={session.refusal} />;
  if (data) {
    return (
      <ViewerContext value={data.viewer}>
        <Pages />
      </ViewerContext>
    );
  }
  if (isPending) return <p className="page quiet loading">Connecting to Serin …</p>;
  return (
    <main className="page">
      <EmptyState title="Serin does not respond">
        {error.message}.{' '}
        <button type="button" className="button" onClick={() => void refetch()}>
          Try again
        </button>
      </EmptyState>
    </main>
  );
}

function Pages(): ReactElement {
  const [data, setData] = useState<OverviewData | null>(null);
  const error = useDeliveries(OverviewDocument, {}, ({ overviewUpdated }) => {
    setClock(Date.parse(overviewUpdated.at));
    setData(overviewUpdated);
  });
  const overview = useMemo(() => ({ data, error }), [data, error]);
  return (
    <OverviewContext value={overview}>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <StaleFrame>
        <Suspense fallback={<p className="page quiet loading">Loading …</p>}>
          <Switch>
            <Route path="/" component={Overview} />
            <Route path="/new" component={Creation} />
            <Route path="/history" component={History} />
            <Route path="/deployments/:id">{({ id }) => <Deployment id={named(id)} />}</Route>
            <Route path="/strategies" component={Strategies} />
            <Route path="/strategies/:id">{({ id }) => <Strategy id={named(id)} />}</Route>
            <Route path="/policy" component={PolicyLab} />
            <Route path="/safety" component={Safety} />
            <Route path="/administration/:part?">{({ part }) => <Administration part={part} />}</Route>
            <Route>
              <main className="page" id="main">
                <EmptyState title="There is no such page">
                  The address names no page of the console.
                </EmptyState>
              </main>
            </Route>
          </Switch>
        </Suspense>
      </StaleFrame>
      <Shortcuts />
    </OverviewContext>
  );
}

/** The name in a part of the address: the router leaves `/`, `:`, `@` and `+` encoded. */
function named(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
