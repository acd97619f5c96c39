/** What administrators do: webhooks and their deliveries, keys, and the record of what was done. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { EmptyState } from '../ui/EmptyState';
import { usePageTitle } from '../ui/usePageTitle';
import { useMay } from '../ui/viewer';
import { Audit } from './Audit';
import { Keys } from './Keys';
import { Webhooks } from './Webhooks';

const PARTS = [
  ['webhooks', 'Webhooks'],
  ['keys', 'Keys'],
  ['audit', 'Audit'],
] as const;

export default function Administration({
  part = 'webhooks',
}: {
  readonly part?: string | undefined;
}): ReactElement {
  usePageTitle('Administration');
  const may = useMay('ADMIN');
  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>Administration</h1>
        {may ? (
          <nav aria-label="Parts of the administration" className="nav">
            {PARTS.map(([name, label]) => (
              <Link
                key={name}
                href={`/administration/${name}`}
                className="nav-link"
                {...(name === part ? { 'aria-current': 'page' as const } : {})}
              >
                {label}
              </Link>
            ))}
          </nav>
        ) : null}
      </header>
      {may ? (
        ({ webhooks: <Webhooks />, keys: <Keys />, audit: <Audit /> }[part] ?? (
          <EmptyState title="There is no such part">Choose one above.</EmptyState>
        ))
      ) : (
        <EmptyState title="This is for administrators">
          Your role may not see keys, webhooks or the audit.
        </EmptyState>
      )}
    </main>
  );
}
