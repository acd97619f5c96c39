/** What administrators did, in the order of time. */
import type { ReactElement } from 'react';
import { AuditRecordsDocument } from '../api/generated/graphql';
import { words } from '../format';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { ListTable } from '../ui/ListTable';
import { usePages } from '../ui/usePages';

export function Audit(): ReactElement {
  const pages = usePages(AuditRecordsDocument, ({ auditRecords }) => auditRecords);
  return (
    <ListFrame pages={pages} empty="Nothing is recorded yet">
      <ListTable label="Audit" heads={['When', 'Who', 'What', 'On', 'Details']}>
        {pages.items.map(({ id, at, actor, action, subject, details }) => (
          <tr key={id}>
            <td className="nowrap">
              <Instant at={at} />
            </td>
            <td>{actor}</td>
            <td>{words(action)}</td>
            <td>
              <code>{subject}</code>
            </td>
            <td>
              <code className="quiet">{JSON.stringify(details)}</code>
            </td>
          </tr>
        ))}
      </ListTable>
    </ListFrame>
  );
}
