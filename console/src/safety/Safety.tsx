/** What holds risk back: freezes. What raises risk waits for them, what lowers it never does. */
import type { ReactElement } from 'react';
import { usePageTitle } from '../ui/usePageTitle';
import { Freezes } from './Freezes';

export default function Safety(): ReactElement {
  usePageTitle('Safety');
  return (
    <main className="page stack" id="main">
      <header className="page-head">
        <h1>Safety</h1>
        <p className="quiet">
          A freeze blocks what raises risk. Rolling back, pausing and cancelling always work.
        </p>
      </header>
      <Freezes />
    </main>
  );
}
