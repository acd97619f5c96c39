/** What holds risk back: a halt of many canaries, loss budgets, and freezes. What raises risk waits for them, what lowers it never does. */
import { useQueryClient } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { usePageTitle } from '../ui/usePageTitle';
import { useMay } from '../ui/viewer';
import { Budgets } from './Budgets';
import { Freezes } from './Freezes';
import { Halt } from './Halt';

export default function Safety(): ReactElement {
  usePageTitle('Safety');
  const queries = useQueryClient();
  return (
    <main className="page stack" id="main">
      <header className="page-head">
        <h1>Safety</h1>
        <p className="quiet">
          A freeze blocks what raises risk. Rolling back, pausing and cancelling always work.
        </p>
      </header>
      {useMay('OPERATOR') ? <Halt onDone={() => void queries.invalidateQueries()} /> : null}
      <Budgets />
      <Freezes />
    </main>
  );
}
