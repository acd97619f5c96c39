/** What came of a creation that needs a word: its warnings, or that capital was refused. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import type { Created } from './newDeployment';

export function Outcome({ made: { created, deployed } }: { readonly made: Created }): ReactElement {
  const id = created.deployment?.id ?? '';
  return (
    <section className="panel stack" aria-labelledby="created">
      <h2 id="created">{deployed && !deployed.success ? 'Created, not deployed' : 'Created'}</h2>
      <p role="status">{created.message}</p>
      {deployed && !deployed.success ? (
        <p className="problem" role="alert">
          {deployed.error?.message ?? deployed.message}
        </p>
      ) : null}
      {(created.warnings ?? []).map(({ message }) => (
        <p key={message} className="warning">
          <span aria-hidden="true">⚠</span> {message}
        </p>
      ))}
      <p>
        <Link href={`/deployments/${encodeURIComponent(id)}`} className="button button-main">
          Go to {id}
        </Link>
      </p>
    </section>
  );
}
