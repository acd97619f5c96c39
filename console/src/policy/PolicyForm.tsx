/** The settings of a policy in their groups, each with what the API says of it. */
import type { ReactElement } from 'react';
import type { Draft, SettingGroup } from './draft';
import { SettingField } from './SettingField';
import type { PolicyProblem } from './useSimulation';

interface PolicyFormProps {
  readonly groups: readonly SettingGroup[];
  readonly draft: Draft;
  readonly problem: PolicyProblem | null;
  readonly onChange: (draft: Draft) => void;
}

export function PolicyForm({ groups, draft, problem, onChange }: PolicyFormProps): ReactElement {
  const known = groups.some(({ settings }) => settings.some(({ path }) => path === problem?.path));
  return (
    <>
      <div className="policy-form">
        {groups.map((group) => (
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
      {problem !== null && !known ? (
        <p className="problem" role="alert">
          {problem.message}
        </p>
      ) : null}
    </>
  );
}
