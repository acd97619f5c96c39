/** One policy of the lab: its form, what the API says of it, and what it does in simulation or on a record. */
import type { ReactElement } from 'react';
import { assumptionsOf, configOf, type Draft, POLICY_GROUPS } from './draft';
import { Outcomes } from './Outcomes';
import { PowerCurve } from './PowerCurve';
import { Replay } from './Replay';
import { SettingField } from './SettingField';
import { usePolicyProblem, useSimulation } from './useSimulation';

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
  const paths = POLICY_GROUPS.flatMap(({ settings }) => settings.map(({ path }) => path));
  const elsewhere = problem !== null && !paths.includes(problem.path);
  const { simulation: report, power, running } = simulation;
  const done = report ? report.completedRuns / report.assumptions.runs : 0;
  return (
    <section className="panel policy" aria-label={title}>
      <h2>{title}</h2>
      <div className="policy-form">
        {POLICY_GROUPS.map((group) => (
          <fieldset key={group.title}>
            <legend>{group.title}</legend>
            {group.settings.map((setting) => (
              <SettingField
                key={setting.path}
                setting={setting}
                value={draft[setting.path] ?? ''}
                problem={problem?.path === setting.path ? problem.message : null}
                onChange={(value) => onChange({ ...draft, [setting.path]: value })}
              />
            ))}
          </fieldset>
        ))}
      </div>
      {elsewhere ? (
        <p className="problem" role="alert">
          {problem.message}
        </p>
      ) : null}
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
            {running ? <progress aria-label="Progress of the simulation" max={1} value={done} /> : null}
          </div>
          {simulation.problem ? (
            <p className="problem" role="alert">
              {simulation.problem}
            </p>
          ) : null}
          {report ? <Outcomes simulation={report} /> : null}
          <PowerCurve points={power} />
          {running && report?.complete ? <p className="quiet">The power curve is being computed …</p> : null}
        </>
      ) : (
        <Replay deploymentId={replay} config={config} enabled={problem === null} />
      )}
    </section>
  );
}
