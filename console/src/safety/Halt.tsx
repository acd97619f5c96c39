/** Halts many canaries with one press: what each will do in words, then what became of each. */
import { type ReactElement, useState } from 'react';
import { Link } from 'wouter';
import { request } from '../api/client';
import { type HaltAction, HaltCanariesDocument, type HaltCanariesMutation } from '../api/generated/graphql';
import { words } from '../format';
import { FormDialog, listOf, textOf } from '../ui/FormDialog';

type Halted = HaltCanariesMutation['answer'];

const ACTIONS: Record<HaltAction, string> = {
  ROLLBACK: 'Roll back: all capital returns to the stable versions',
  PAUSE: 'Pause: the clocks stand, capital stays at work',
  CANCEL: 'Cancel: the trials end without a decision, capital returns',
};
const NAMES = ['ROLLBACK', 'PAUSE', 'CANCEL'] as const satisfies readonly HaltAction[];

const SIGNS = { DONE: '✓', ALREADY: '–', REFUSED: '✕' } as const;

export function Halt({ onDone }: { readonly onDone: () => void }): ReactElement {
  /** A halt that is not complete: asked for again it has its key, and then shows the rest. */
  const [unfinished, setUnfinished] = useState<{ readonly of: string; readonly key: string } | null>(null);
  const [halted, setHalted] = useState<Halted | null>(null);
  const halt = async (fields: FormData, freshKey: string) => {
    const action = NAMES.find((each) => each === fields.get('action')) ?? 'ROLLBACK';
    const asked = {
      action,
      strategies: listOf(fields, 'strategies') ?? [],
      chains: listOf(fields, 'chains'),
      reason: textOf(fields, 'reason') ?? '',
      freeze: fields.get('freeze') === 'on',
    };
    const of = JSON.stringify(asked);
    const key = unfinished?.of === of ? unfinished.key : freshKey;
    const { answer } = await request(HaltCanariesDocument, { input: { ...asked, idempotencyKey: key } });
    setUnfinished(answer.success && !answer.complete ? { of, key } : null);
    if (answer.success) setHalted(answer);
    return answer;
  };
  return (
    <section className="panel stack" aria-labelledby="halt">
      <div className="panel-head">
        <h2 id="halt">Halt</h2>
        <FormDialog
          label="Halt canaries …"
          title="Halt canaries"
          tone="danger"
          action="Halt"
          onSubmit={halt}
          onDone={onDone}
        >
          <label>
            Strategies: patterns separated by commas; * means all
            <input name="strategies" required placeholder="eth-*" autoComplete="off" />
          </label>
          <label>
            Chains: the same; empty means all
            <input name="chains" autoComplete="off" />
          </label>
          <label>
            What to do
            <select name="action" defaultValue="ROLLBACK">
              {NAMES.map((name) => (
                <option key={name} value={name}>
                  {ACTIONS[name]}
                </option>
              ))}
            </select>
          </label>
          <label className="check">
            <input type="checkbox" name="freeze" defaultChecked /> Freeze them too: nothing new begins until
            the freeze is lifted
          </label>
          <label>
            Reason; recorded with each deployment
            <input name="reason" required autoComplete="off" />
          </label>
        </FormDialog>
      </div>
      <p className="quiet">
        Acts on many live canaries together: each is rolled back, paused or cancelled on its own.
      </p>
      {halted ? <Outcomes halted={halted} /> : null}
    </section>
  );
}

function Outcomes({
  halted: { message, complete, outcomes, pending },
}: {
  readonly halted: Halted;
}): ReactElement {
  return (
    <>
      <p role="status">
        <b>{message}</b>
        {complete ? null : ` ${pending.length} are still being carried out; the same halt again shows them.`}
      </p>
      <ul className="stack">
        {outcomes.map((outcome) => (
          <li key={outcome.deploymentId}>
            <span aria-hidden="true">{SIGNS[outcome.outcome]}</span>{' '}
            <Link href={`/deployments/${encodeURIComponent(outcome.deploymentId)}`}>
              {outcome.deploymentId}
            </Link>{' '}
            {words(outcome.outcome)}: {outcome.error?.message ?? outcome.message}
          </li>
        ))}
      </ul>
    </>
  );
}
