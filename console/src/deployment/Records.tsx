/** What was decided, what happened, and the record to take away. */
import { type ReactElement, useState } from 'react';
import { Link } from 'wouter';
import { request } from '../api/client';
import { type DetailFragment, ExportDeploymentDocument } from '../api/generated/graphql';
import { Configuration } from './Configuration';
import { Decisions } from './Decisions';
import { Timeline } from './Timeline';

export function Records({ deployment }: { readonly deployment: DetailFragment }): ReactElement {
  return (
    <div className="records">
      <div className="records-side">
        <Decisions deployment={deployment} />
        <Configuration deployment={deployment} />
        <Export id={deployment.id} />
      </div>
      <Timeline deployment={deployment} />
    </div>
  );
}

function Export({ id }: { readonly id: string }): ReactElement {
  const [problem, setProblem] = useState<string | null>(null);
  const save = async () => {
    try {
      setProblem(null);
      const { exportDeployment } = await request(ExportDeploymentDocument, { id });
      download(`${id}.json`, JSON.stringify(exportDeployment, null, 2));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <section className="panel" aria-labelledby="record">
      <h2 id="record">Record</h2>
      <div className="buttons">
        <button type="button" className="button" onClick={() => void save()}>
          Export as JSON
        </button>
        <Link className="button" href={`/policy?replay=${encodeURIComponent(id)}`}>
          What would another policy have decided?
        </Link>
      </div>
      {problem ? (
        <p className="problem" role="alert">
          {problem}
        </p>
      ) : null}
    </section>
  );
}

/** Hands a text to the browser as a file. */
function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
