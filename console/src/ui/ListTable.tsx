/** A table of things: named, its columns headed, narrow enough to scroll by itself on a phone. */
import type { ReactElement, ReactNode } from 'react';

/** The head of a column: its name, or how it differs from others. */
type Head = string | { readonly name: string; readonly number?: true; readonly hidden?: true };

/** The last column of a table whose rows can be acted on. */
export const ACTIONS_HEAD: Head = { name: 'Actions', hidden: true };

interface ListTableProps {
  readonly label: string;
  readonly heads: readonly Head[];
  /** Rows. */
  readonly children: ReactNode;
  readonly plain?: boolean;
}

export function ListTable({ label, heads, children, plain = false }: ListTableProps): ReactElement {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table is scrolled with the keyboard, too
    <section className="table-frame" aria-label={label} tabIndex={0}>
      <table className={plain ? 'table-plain' : 'table'}>
        <thead>
          <tr>{heads.map((head) => (typeof head === 'string' ? { name: head } : head)).map(headCell)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

function headCell({ name, number, hidden }: Exclude<Head, string>): ReactElement {
  return (
    <th key={name} scope="col" className={number ? 'number' : undefined}>
      {hidden ? <span className="hidden">{name}</span> : name}
    </th>
  );
}
