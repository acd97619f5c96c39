/** Above a result of the lab whose policy was edited since: what stands below is not what the form says. */
import type { ReactElement } from 'react';

export function OfOtherSettings({ again }: { readonly again: string }): ReactElement {
  return (
    <p className="warning" role="status">
      <span aria-hidden="true">⚠</span> This is of other settings than those above: press {again} for these.
    </p>
  );
}
