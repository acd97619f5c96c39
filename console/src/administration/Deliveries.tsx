/** The latest deliveries of a webhook with every attempt. */
import type { ReactElement } from 'react';
import { request } from '../api/client';
import { RedeliverDocument, WebhookDeliveriesDocument } from '../api/generated/graphql';
import { useApi } from '../api/hooks';
import { words } from '../format';
import { Instant } from '../ui/Instant';
import { ACTIONS_HEAD, ListTable } from '../ui/ListTable';

const SHOWN = 30;
const REFRESH_MS = 3_000;
const SIGNS = { DELIVERED: ['✓', 'good'], FAILED: ['✕', 'bad'], PENDING: ['…', 'wait'] } as const;

export function Deliveries({ webhookId }: { readonly webhookId: string }): ReactElement {
  const { data, error, refetch } = useApi(
    WebhookDeliveriesDocument,
    { filter: { webhookId }, last: SHOWN },
    { refetchMs: REFRESH_MS },
  );
  const deliveries = [...(data?.webhookDeliveries.nodes ?? [])].reverse();
  const again = async (deliveryId: string) => {
    await request(RedeliverDocument, { input: { deliveryId } });
    await refetch();
  };
  if (error) return <p className="problem">{error.message}</p>;
  if (deliveries.length === 0) return <p className="quiet">Nothing was sent yet.</p>;
  return (
    <ListTable
      plain
      label="Deliveries"
      heads={['Event', 'Deployment', 'State', 'Last attempt', ACTIONS_HEAD]}
    >
      {deliveries.map((delivery) => {
        const [sign, tone] = SIGNS[delivery.status];
        const last = delivery.attempts.at(-1);
        return (
          <tr key={delivery.id}>
            <td>{words(delivery.eventType)}</td>
            <td>
              <code>
                {delivery.deploymentId}:{delivery.eventNo}
              </code>
            </td>
            <td className={`tone-${tone} nowrap`}>
              {sign} {words(delivery.status)}
            </td>
            <td>
              {last ? (
                <>
                  {last.number}: <Instant at={last.startedAt} short /> {last.httpStatus ?? ''}{' '}
                  {last.error ?? ''} <span className="quiet">{last.durationMs} ms</span>
                </>
              ) : (
                'none yet'
              )}
            </td>
            <td>
              {delivery.status === 'FAILED' ? (
                <button type="button" className="button" onClick={() => void again(delivery.id)}>
                  Send again
                </button>
              ) : null}
            </td>
          </tr>
        );
      })}
    </ListTable>
  );
}
