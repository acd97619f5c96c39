/** One text of the form, with what it means and what is wrong with it. */
import { type ReactElement, useId } from 'react';

interface NameFieldProps {
  readonly label: string;
  readonly hint?: string;
  readonly value: string;
  readonly placeholder?: string | undefined;
  readonly required?: boolean;
  readonly decimal?: boolean;
  /** What may be chosen; others may be written. */
  readonly options?: readonly string[];
  readonly problem: string | null;
  readonly onChange: (value: string) => void;
}

export function NameField(props: NameFieldProps): ReactElement {
  const {
    label,
    hint,
    value,
    placeholder,
    required = false,
    decimal = false,
    options,
    problem,
    onChange,
  } = props;
  const id = useId();
  return (
    <div className={`name-field ${problem === null ? '' : 'setting-wrong'}`}>
      <label htmlFor={id}>
        {label}
        {required ? <span className="quiet"> (required)</span> : null}
      </label>
      <input
        id={id}
        value={value}
        placeholder={placeholder}
        required={required}
        {...(decimal
          ? {
              inputMode: 'decimal',
              pattern: '[0-9]+([.][0-9]+)?',
              title: 'Digits, such as 250000 or 250000.50',
            }
          : {})}
        autoComplete="off"
        spellCheck={false}
        aria-describedby={`${id}-hint`}
        aria-invalid={problem !== null}
        onChange={({ target }) => onChange(target.value)}
        {...(options ? { list: `${id}-options` } : {})}
      />
      <p
        id={`${id}-hint`}
        className={problem === null ? 'quiet' : 'problem'}
        role={problem === null ? undefined : 'alert'}
      >
        {problem ?? hint}
      </p>
      {options ? (
        <datalist id={`${id}-options`}>
          {options.map((option) => (
            <option key={option} value={option} />
          ))}
        </datalist>
      ) : null}
    </div>
  );
}
