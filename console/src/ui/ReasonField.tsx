/** The field for a reason, in every form that changes something. */
import type { ReactElement } from 'react';

export function ReasonField({ required = false }: { readonly required?: boolean }): ReactElement {
  return (
    <label>
      Reason, for the record
      <textarea name="reason" rows={2} required={required} />
    </label>
  );
}
