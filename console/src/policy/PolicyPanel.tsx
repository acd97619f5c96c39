/** One policy of the lab: its form, what the API says of it, and what it does in simulation or on a record. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { useMay } from '../ui/viewer';
import { assumptionsOf, configOf, type Draft, POLICY_GROUPS, writeDraft } from './draft';
import { OfOtherSettings } from './OfOtherSettings';
import { Outcomes } from './Outcomes';
import { PolicyForm } from './PolicyForm';
import { PowerCurve } from './PowerCurve';
import { Replay } from './Replay';
import { usePolicyProblem, useSimulation, writeJob } from './useSimulation';

interface PolicyPanelProps {
  readonly title: string;
  readonly draft: Draft;
  readonly assumptions: Draft;
  /** The deployment on whose record the policy is replayed; null to simulate. */
  readonly replay: string | null;
  readonly onChange: (draft: Draft) => void;
}

export function PolicyPanel({ title, draft, assumptions, replay, onChange }: PolicyPanelProps): ReactElement {
  const config = configOf(draft);
  const assumed = assumptionsOf(assumptions);
  const problem = usePolicyProblem(config);
  const simulation = useSimulation();
  const mayCreate = useMay('OPERATOR');
  const { simulation: report, power, running } = simulation;
  const done = report ? report.completedRuns / report.assumptions.runs : 0;
  return (
    <section className="panel policy" aria-label={title}>
      <h2>{title}</h2>
      <PolicyForm groups={POLICY_GROUPS} draft={draft} problem={problem} onChange={onChange} />
      {replay === null ? (
        <>
          <div className="buttons">
            <button
              type="button"
              className="button button-main"
              disabled={problem !== null || running}
              onClick={() => simulation.start(config, assumed)}
            >
              {running ? 'Simulating …' : 'Simulate'}
            </button>
            {running ? (
              <button type="button" className="button" onClick={simulation.stop}>
                Stop
              </button>
            ) : null}
            {running || !mayCreate ? null : (
              <Link
                href={`/new?${new URLSearchParams({ policy: writeDraft(draft) ?? '{}' })}`}
                className="button"
              >
                New deployment with it
              </Link>
            )}
            {running ? <progress aria-label="Progress of the simulation" max={1} value={done} /> : null}
          </div>
          {simulation.problem ? (
            <p className="problem" role="alert">
              {simulation.problem}
            </p>
          ) : null}
          {report && simulation.of !== writeJob(config, assumed) ? (
            <OfOtherSettings again="Simulate" />
          ) : null}
          {report ? <Outcomes simulation={report} /> : null}
          <PowerCurve points={power} />
          {running && report?.complete ? <p className="quiet">The power curve is being computed …</p> : null}
        </>
      ) : (
        <Replay key={replay} deploymentId={replay} config={config} enabled={problem === null} />
      )}
    </section>
  );
}
