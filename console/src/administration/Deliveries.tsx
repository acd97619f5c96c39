/** The latest deliveries of a webhook with every attempt. */
import type { ReactElement } from 'react';
import { request } from '../api/client';
import { RedeliverDocument, WebhookDeliveriesDocument } from '../api/generated/graphql';
import { useApi } from '../api/hooks';
import { words } from '../format';
import { FormDialog } from '../ui/FormDialog';
import { Instant } from '../ui/Instant';
import { ACTIONS_HEAD, ListTable } from '../ui/ListTable';

const SHOWN = 30;
const REFRESH_MS = 3_000;
const SIGNS = { DELIVERED: ['✓', 'good'], FAILED: ['✕', 'bad'], PENDING: ['…', 'wait'] } as const;

interface DeliveriesProps {
  readonly webhookId: string;
  readonly onDone: () => void;
}

export function Deliveries({ webhookId, onDone }: DeliveriesProps): ReactElement {
  const { data, error, refetch } = useApi(
    WebhookDeliveriesDocument,
    { filter: { webhookId }, last: SHOWN },
    { refetchMs: REFRESH_MS },
  );
  if (error) return <p className="problem">{error.message}</p>;
  if (!data) return <p className="quiet">Loading the deliveries …</p>;
  const deliveries = [...data.webhookDeliveries.nodes].reverse();
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
                <FormDialog
                  label="Send again …"
                  title="Send this delivery again"
                  action="Send"
                  onSubmit={async (_, key) => {
                    const input = { deliveryId: delivery.id, idempotencyKey: key };
                    return (await request(RedeliverDocument, { input })).answer;
                  }}
                  onDone={() => {
                    onDone();
                    void refetch();
                  }}
                >
                  <p>The message has the id that it had: a receiver that took it before knows it again.</p>
                </FormDialog>
              ) : null}
            </td>
          </tr>
        );
      })}
    </ListTable>
  );
}
