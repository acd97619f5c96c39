/** Webhooks: where events are sent, whether they arrive, and what to do when they did not. */
import { type ReactElement, useState } from 'react';
import { request } from '../api/client';
import {
  CreateWebhookDocument,
  DeleteWebhookDocument,
  RedeliverDocument,
  UpdateWebhookDocument,
  type WebhookFieldsFragment,
  WebhooksDocument,
} from '../api/generated/graphql';
import { count, words } from '../format';
import { FormDialog, Secret, textOf } from '../ui/FormDialog';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { usePages } from '../ui/usePages';
import { Deliveries } from './Deliveries';

export function Webhooks(): ReactElement {
  const pages = usePages(WebhooksDocument, ({ webhooks }) => webhooks);
  const [secret, setSecret] = useState<string | null>(null);
  return (
    <>
      <div className="buttons">
        <NewWebhook onSecret={setSecret} onDone={pages.refresh} />
      </div>
      {secret === null ? null : <Secret label="The secret that deliveries are signed with." value={secret} />}
      <ListFrame pages={pages} empty="There is no webhook">
        <ul className="stack">
          {pages.items.map((webhook) => (
            <li key={webhook.id}>
              <WebhookPanel webhook={webhook} onSecret={setSecret} onDone={pages.refresh} />
            </li>
          ))}
        </ul>
      </ListFrame>
    </>
  );
}

interface WebhookPanelProps {
  readonly webhook: WebhookFieldsFragment;
  readonly onSecret: (secret: string) => void;
  readonly onDone: () => void;
}

function WebhookPanel({ webhook, onSecret, onDone }: WebhookPanelProps): ReactElement {
  const { id, url, description, strategyId, eventTypes, status, disabledReason, pendingCount } = webhook;
  const [open, setOpen] = useState(false);
  const enabled = status === 'ENABLED';
  return (
    <article className="panel webhook">
      <header className="panel-head">
        <h2>
          <code>{url}</code>
        </h2>
        <span className={`badge ${enabled ? 'tone-good' : 'tone-bad'}`}>
          {enabled ? '✓' : '✕'} {words(status)}
        </span>
      </header>
      <p className="quiet">
        {description ? `${description} · ` : ''}
        {strategyId ? `strategy ${strategyId}` : 'all strategies'} ·{' '}
        {eventTypes === null ? 'all events' : eventTypes.map((type) => words(type).toLowerCase()).join(', ')}{' '}
        · made <Instant at={webhook.createdAt} /> by {webhook.createdBy}
      </p>
      {disabledReason ? <p className="problem">{disabledReason}</p> : null}
      <div className="buttons">
        <button type="button" className="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          Deliveries{pendingCount > 0 ? `, ${count(pendingCount)} pending` : ''}
        </button>
        <FormDialog
          label={enabled ? 'Disable …' : 'Enable …'}
          title={enabled ? 'Disable this webhook' : 'Enable this webhook'}
          action={enabled ? 'Disable' : 'Enable'}
          onSubmit={async (_, key) =>
            (
              await request(UpdateWebhookDocument, {
                input: { webhookId: id, enabled: !enabled, idempotencyKey: key },
              })
            ).answer
          }
          onDone={onDone}
        >
          <p>{enabled ? 'Events wait until it is enabled again.' : 'Events that waited are sent first.'}</p>
        </FormDialog>
        <FormDialog
          label="New secret …"
          title="New secret"
          action="Make it"
          onSubmit={async (_, key) => {
            const { answer } = await request(UpdateWebhookDocument, {
              input: { webhookId: id, rotateSecret: true, idempotencyKey: key },
            });
            if (answer.secret) onSecret(answer.secret);
            return answer;
          }}
          onDone={onDone}
        >
          <p>Deliveries are signed with both secrets for a while, so that the receiver can change over.</p>
        </FormDialog>
        <FormDialog
          label="Send failed ones again …"
          title="Send failed deliveries again"
          action="Send"
          onSubmit={async (_, key) =>
            (await request(RedeliverDocument, { input: { webhookId: id, idempotencyKey: key } })).answer
          }
          onDone={onDone}
        >
          <p>Every delivery of this webhook that was given up is tried anew, in order.</p>
        </FormDialog>
        <FormDialog
          label="Delete …"
          title="Delete this webhook"
          tone="danger"
          action="Delete"
          onSubmit={async (_, key) =>
            (await request(DeleteWebhookDocument, { input: { webhookId: id, idempotencyKey: key } })).answer
          }
          onDone={onDone}
        >
          <p>What is pending is not sent. This cannot be undone.</p>
        </FormDialog>
      </div>
      {open ? <Deliveries webhookId={id} onDone={onDone} /> : null}
    </article>
  );
}

interface NewWebhookProps {
  readonly onSecret: (secret: string) => void;
  readonly onDone: () => void;
}

function NewWebhook({ onSecret, onDone }: NewWebhookProps): ReactElement {
  const create = async (fields: FormData, key: string) => {
    const { answer } = await request(CreateWebhookDocument, {
      input: {
        url: textOf(fields, 'url') ?? '',
        description: textOf(fields, 'description'),
        strategyId: textOf(fields, 'strategyId'),
        idempotencyKey: key,
      },
    });
    if (answer.secret) onSecret(answer.secret);
    return answer;
  };
  return (
    <FormDialog
      label="New webhook …"
      title="New webhook"
      tone="main"
      action="Create"
      onSubmit={create}
      onDone={onDone}
    >
      <label>
        Address that events are sent to
        <input name="url" type="url" required placeholder="https://…" />
      </label>
      <label>
        Description
        <input name="description" autoComplete="off" />
      </label>
      <label>
        Strategy; empty means all
        <input name="strategyId" autoComplete="off" />
      </label>
    </FormDialog>
  );
}
