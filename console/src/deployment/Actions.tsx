/** What the viewer may do to the deployment now; every action says what it will do and asks for a reason. */
import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, type ReactElement, useState } from 'react';
import type { CommandAnswerFragment, DetailFragment, FreezeBlock } from '../api/generated/graphql';
import { Instant } from '../ui/Instant';
import { Sentence } from '../ui/Sentence';
import { useMay, useViewer } from '../ui/viewer';
import { ACTION_ORDER, type ActionText, actionText } from './actionTexts';
import { ConfigChange, RequestedChange } from './ConfigChange';
import { type CommandInput, giveCommand, newKey, type PlainAction } from './commands';

interface ActionsProps {
  readonly deployment: DetailFragment;
  /** Shows the state that a command's answer brought. */
  readonly onState: (deployment: DetailFragment) => void;
}

export function Actions({ deployment, onState }: ActionsProps): ReactElement | null {
  const { actor } = useViewer();
  const [done, setDone] = useState<string | null>(null);
  const { promotionRequest, availableActions } = deployment;
  const actions = ACTION_ORDER.filter((action) => availableActions.includes(action));
  return (
    <div className="actions">
      {promotionRequest ? (
        <p className="approval">
          <span aria-hidden="true">⚑</span> <b>{promotionRequest.by}</b> requested promotion at{' '}
          <Instant at={promotionRequest.at} />. Another person must approve it before{' '}
          <Instant at={promotionRequest.endsAt} />.
        </p>
      ) : null}
      <div className="buttons">
        {actions.map((action) => (
          <ActionButton
            key={action}
            action={action}
            text={actionText(action, deployment, actor)}
            deployment={deployment}
            onState={onState}
            onDone={setDone}
          />
        ))}
        {availableActions.includes('UPDATE_CONFIG') ? (
          <ConfigChange deployment={deployment} onState={onState} onDone={setDone} />
        ) : null}
      </div>
      <RequestedChange deployment={deployment} onState={onState} onDone={setDone} />
      <p className="done" role="status">
        {done}
      </p>
    </div>
  );
}

interface ActionButtonProps extends ActionsProps {
  readonly action: PlainAction;
  readonly text: ActionText;
  readonly onDone: (message: string) => void;
}

function ActionButton({ action, text, deployment, onState, onDone }: ActionButtonProps): ReactElement {
  const [open, setOpen] = useState(false);
  if (text.obstacle) {
    return (
      <p className="obstacle">
        <button type="button" className="button" disabled>
          {text.label}
        </button>{' '}
        {text.obstacle}
      </p>
    );
  }
  const close = (message: string | null) => {
    setOpen(false);
    if (message !== null) onDone(message);
  };
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger className={`button button-${text.tone}`}>{text.label} …</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <ActionForm action={action} text={text} deployment={deployment} onState={onState} onClose={close} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** What a freeze must block to be in the way of an action. */
const BLOCK_OF: Readonly<Partial<Record<PlainAction, FreezeBlock>>> = {
  DEPLOY: 'DEPLOY',
  ADVANCE_STEP: 'STEP_UP',
  PROMOTE: 'PROMOTE',
};

interface ActionFormProps extends ActionsProps {
  readonly action: PlainAction;
  readonly text: ActionText;
  readonly onClose: (message: string | null) => void;
}

function ActionForm({ action, text, deployment, onState, onClose }: ActionFormProps): ReactElement {
  // The command is for the deployment as it was when the viewer decided: what changed it meanwhile is shown first.
  const [seen, setSeen] = useState(deployment.revision);
  const [key, setKey] = useState(newKey);
  const [reason, setReason] = useState('');
  const [capitalUsd, setCapital] = useState('');
  const [minutes, setMinutes] = useState('');
  const [override, setOverride] = useState(false);
  const [sending, setSending] = useState(false);
  const admin = useMay('ADMIN');
  // The first of two people only asks: nothing is promoted yet.
  const asks = action === 'PROMOTE' && deployment.approvalRule !== null && !deployment.promotionRequest;
  const block = asks ? undefined : BLOCK_OF[action];
  const frozen = block !== undefined && deployment.freezes.some(({ blocks }) => blocks.includes(block));
  const [refusal, setRefusal] = useState<CommandAnswerFragment['error'] | { message: string } | null>(null);
  const changed = deployment.revision !== seen;

  /** Another input is another request. */
  const edit = (change: () => void) => {
    change();
    setKey(newKey());
    setRefusal(null);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setSending(true);
    setRefusal(null);
    const input: CommandInput = {
      deploymentId: deployment.id,
      expectedRevision: seen,
      idempotencyKey: key,
      reason: reason.trim() || null,
      capitalUsd: capitalUsd.trim(),
      minutes: minutes === '' ? null : Number(minutes),
      overrideFreeze: override,
    };
    try {
      const answer = await giveCommand(action, input);
      if (answer.deployment) onState(answer.deployment);
      if (answer.success) onClose(answer.message);
      else setRefusal(answer.error ?? { message: answer.message });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      setRefusal({
        message: `${message}. Whether it was done is not known: press again, it is done once at most.`,
      });
    } finally {
      setSending(false);
    }
  };

  return (
    <form onSubmit={submit}>
      <Dialog.Title className="dialog-title">{text.label}</Dialog.Title>
      <Dialog.Description className="quiet" render={<div />}>
        {deployment.strategyId}: {deployment.canaryVersionId} vs {deployment.stableVersionId}
      </Dialog.Description>
      <ul className="effects">
        {text.effects.map((effect) => (
          <li key={effect}>{effect}</li>
        ))}
      </ul>
      {action === 'DEPLOY' ? (
        <label>
          Capital of both sides together, USD
          <input
            inputMode="decimal"
            required
            value={capitalUsd}
            onChange={({ target }) => edit(() => setCapital(target.value))}
          />
        </label>
      ) : null}
      {action === 'EXTEND' ? (
        <label>
          Minutes from now
          <input
            inputMode="numeric"
            pattern="[0-9]*"
            placeholder={`${deployment.step.minutes}, as long as the step`}
            value={minutes}
            onChange={({ target }) => edit(() => setMinutes(target.value))}
          />
        </label>
      ) : null}
      <label>
        Reason, for the record
        <textarea
          rows={2}
          required={override}
          value={reason}
          onChange={({ target }) => edit(() => setReason(target.value))}
        />
      </label>
      {frozen && admin ? (
        <label className="check">
          <input
            type="checkbox"
            checked={override}
            onChange={({ target }) => edit(() => setOverride(target.checked))}
          />{' '}
          Override the freeze; this is recorded and needs a reason
        </label>
      ) : null}
      {frozen && !admin ? (
        <p className="problem">A freeze blocks this; it is possible again when it ends.</p>
      ) : null}
      {changed ? (
        <p className="problem" role="alert">
          The deployment has changed since you opened this.{' '}
          <button type="button" className="button" onClick={() => edit(() => setSeen(deployment.revision))}>
            Continue with the current state
          </button>
        </p>
      ) : null}
      {refusal ? (
        <p className="problem" role="alert">
          <Sentence text={refusal.message} />
        </p>
      ) : null}
      <div className="dialog-buttons">
        <Dialog.Close className="button">Back</Dialog.Close>
        <button
          type="submit"
          className={`button button-${text.tone}`}
          disabled={sending || changed || (frozen && !override)}
        >
          {sending ? 'Sending …' : text.label}
        </button>
      </div>
    </form>
  );
}
