/** What administrators did, in the order of time. */
import type { ReactElement } from 'react';
import { AuditRecordsDocument } from '../api/generated/graphql';
import { words } from '../format';
import { Instant } from '../ui/Instant';
import { ListFrame } from './ListFrame';
import { usePages } from './usePages';

export function Audit(): ReactElement {
  const pages = usePages(AuditRecordsDocument, ({ auditRecords }) => auditRecords);
  return (
    <ListFrame pages={pages} empty="Nothing is recorded yet">
      <section className="table-frame" aria-label="Audit">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Who</th>
              <th scope="col">What</th>
              <th scope="col">On</th>
              <th scope="col">Details</th>
            </tr>
          </thead>
          <tbody>
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
          </tbody>
        </table>
      </section>
    </ListFrame>
  );
}
