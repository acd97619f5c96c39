/** One setting of a form, with what is wrong with it. */
import { type ReactElement, useId } from 'react';
import type { Setting } from './draft';

interface SettingFieldProps {
  readonly setting: Setting;
  readonly value: string;
  /** What the API says of it; null while it is right. */
  readonly problem: string | null;
  readonly onChange: (value: string) => void;
}

export function SettingField({ setting, value, problem, onChange }: SettingFieldProps): ReactElement {
  const id = useId();
  const { label, kind, standard } = setting;
  const described = problem === null ? {} : { 'aria-invalid': true, 'aria-describedby': `${id}-problem` };
  return (
    <div className={`setting ${problem === null ? '' : 'setting-wrong'}`}>
      <label htmlFor={id}>{label}</label>
      {kind === 'yesNo' || typeof kind === 'object' ? (
        <select id={id} value={value} onChange={({ target }) => onChange(target.value)} {...described}>
          <option value="">{kind === 'yesNo' ? yesNo(standard) : standard}</option>
          {(kind === 'yesNo' ? ['true', 'false'] : kind)
            .filter((each) => each !== standard)
            .map((each) => (
              <option key={each} value={each}>
                {kind === 'yesNo' ? yesNo(each) : each}
              </option>
            ))}
        </select>
      ) : (
        <input
          id={id}
          inputMode={kind === 'ramp' || kind === 'text' ? 'text' : 'decimal'}
          placeholder={standard}
          value={value}
          onChange={({ target }) => onChange(target.value)}
          {...described}
        />
      )}
      {problem === null ? null : (
        <p className="problem" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  );
}

const yesNo = (value: string) => (value === 'true' ? 'yes' : 'no');
