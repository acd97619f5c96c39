/** What the viewer may do to the deployment now; every action says what it will do and asks for a reason. */
import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, type ReactElement, useState } from 'react';
import type { DetailFragment, FreezeBlock } from '../api/generated/graphql';
import { mayBeDone, newKey, withUnknownOutcome } from '../api/retry';
import { Instant } from '../ui/Instant';
import { Sentence } from '../ui/Sentence';
import { useMay, useViewer } from '../ui/viewer';
import { ACTION_ORDER, type ActionText, actionText } from './actionTexts';
import { ConfigChange, RequestedChange } from './ConfigChange';
import { type CommandInput, giveCommand, type PlainAction } from './commands';

interface ActionsProps {
  readonly deployment: DetailFragment;
  /** Shows the state that a command's answer brought. */
  readonly onState: (deployment: DetailFragment) => void;
}

/** A command that was sent, and what is known of its outcome. While that is nothing, it is sent again as it was. */
interface Attempt {
  /** The action as the viewer chose it: done, it may be possible no more, or mean something else. */
  readonly text: ActionText;
  readonly input: CommandInput;
  readonly outcome: 'AWAITED' | 'UNKNOWN' | 'REFUSED';
  readonly problem: string | null;
}

export function Actions({ deployment, onState }: ActionsProps): ReactElement | null {
  const { actor } = useViewer();
  const [done, setDone] = useState<string | null>(null);
  const [attempts, setAttempts] = useState<ReadonlyMap<PlainAction, Attempt>>(new Map());
  const { promotionRequest, availableActions } = deployment;
  // A command without an answer keeps its button: the live feed may tell that it was done before the answer does.
  const actions = ACTION_ORDER.filter((action) => availableActions.includes(action) || attempts.has(action));
  const keep = (action: PlainAction, attempt: Attempt | null) =>
    setAttempts((before) => {
      const after = new Map(before);
      if (attempt) after.set(action, attempt);
      else after.delete(action);
      return after;
    });
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
            text={attempts.get(action)?.text ?? actionText(action, deployment, actor)}
            attempt={attempts.get(action) ?? null}
            deployment={deployment}
            onState={onState}
            onAttempt={(attempt) => keep(action, attempt)}
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

interface CommandProps extends ActionsProps {
  readonly action: PlainAction;
  readonly text: ActionText;
  readonly attempt: Attempt | null;
  readonly onAttempt: (attempt: Attempt | null) => void;
}

interface ActionButtonProps extends CommandProps {
  readonly onDone: (message: string) => void;
}

function ActionButton({ onDone, ...command }: ActionButtonProps): ReactElement {
  const { text, attempt, onAttempt } = command;
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
  const show = (next: boolean) => {
    setOpen(next);
    if (!next && attempt?.outcome === 'REFUSED') onAttempt(null);
  };
  const finish = (message: string) => {
    setOpen(false);
    onDone(message);
  };
  /** Also to one who has closed the dialog meanwhile. */
  const tell = (next: Attempt | null) => {
    onAttempt(next);
    if (next?.problem) setOpen(true);
  };
  return (
    <Dialog.Root open={open} onOpenChange={show}>
      <Dialog.Trigger className={`button button-${text.tone}`}>{text.label} …</Dialog.Trigger>
      <Dialog.Portal keepMounted={attempt !== null}>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <ActionForm {...command} onAttempt={tell} onFinished={finish} />
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

interface ActionFormProps extends CommandProps {
  readonly onFinished: (message: string) => void;
}

function ActionForm(props: ActionFormProps): ReactElement {
  const { action, text, deployment, attempt, onState, onAttempt, onFinished } = props;
  // The command is for the deployment as it was when the viewer decided: what changed it meanwhile is shown first.
  const [seen, setSeen] = useState(deployment.revision);
  const [reason, setReason] = useState('');
  const [capitalUsd, setCapital] = useState('');
  const [minutes, setMinutes] = useState('');
  const [override, setOverride] = useState(false);
  const admin = useMay('ADMIN');
  const sending = attempt?.outcome === 'AWAITED';
  const unsettled = sending || attempt?.outcome === 'UNKNOWN';
  // The first of two people only asks: nothing is promoted yet.
  const asks = action === 'PROMOTE' && deployment.approvalRule !== null && !deployment.promotionRequest;
  const block = asks ? undefined : BLOCK_OF[action];
  const frozen =
    !unsettled && block !== undefined && deployment.freezes.some(({ blocks }) => blocks.includes(block));
  const changed = !unsettled && deployment.revision !== seen;

  /** What was refused is over. */
  const edit = (change: () => void) => {
    change();
    onAttempt(null);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const again = attempt?.outcome === 'UNKNOWN';
    const input: CommandInput = again
      ? attempt.input
      : {
          deploymentId: deployment.id,
          expectedRevision: seen,
          idempotencyKey: newKey(),
          reason: reason.trim() || null,
          capitalUsd: capitalUsd.trim(),
          minutes: minutes === '' ? null : Number(minutes),
          overrideFreeze: override,
        };
    onAttempt({ text, input, outcome: 'AWAITED', problem: null });
    try {
      const { deployment: state, success, message, error } = await giveCommand(action, input);
      if (state) onState(state);
      onAttempt(success ? null : { text, input, outcome: 'REFUSED', problem: error?.message ?? message });
      if (success) onFinished(message);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      onAttempt(
        again || mayBeDone(error)
          ? { text, input, outcome: 'UNKNOWN', problem: withUnknownOutcome(message) }
          : { text, input, outcome: 'REFUSED', problem: message },
      );
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
      <fieldset className="fields" disabled={unsettled}>
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
      </fieldset>
      {changed ? (
        <p className="problem" role="alert">
          The deployment has changed since you opened this.{' '}
          <button type="button" className="button" onClick={() => edit(() => setSeen(deployment.revision))}>
            Continue with the current state
          </button>
        </p>
      ) : null}
      {attempt?.problem ? (
        <p className="problem" role="alert">
          <Sentence text={attempt.problem} />
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
