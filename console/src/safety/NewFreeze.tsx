/** The form of a freeze: for a time, until it is lifted, or again and again by a rule in a time zone. */
import { type ReactElement, useState } from 'react';
import { request } from '../api/client';
import { CreateFreezeDocument, type CreateFreezeInput, type FreezeBlock } from '../api/generated/graphql';
import { FormDialog, listOf, textOf } from '../ui/FormDialog';

export const BLOCKS: Record<FreezeBlock, string> = {
  DEPLOY: 'new deployments',
  STEP_UP: 'steps up',
  PROMOTE: 'promotions',
};
const NAMES = ['DEPLOY', 'STEP_UP', 'PROMOTE'] as const satisfies readonly FreezeBlock[];

export function NewFreeze({ onDone }: { readonly onDone: () => void }): ReactElement {
  const [recurs, setRecurs] = useState(false);
  const create = async (fields: FormData, key: string) =>
    (await request(CreateFreezeDocument, { input: inputOf(fields, recurs, key) })).answer;
  return (
    <FormDialog
      label="New freeze …"
      title="New freeze"
      tone="main"
      action="Freeze"
      onSubmit={create}
      onDone={onDone}
    >
      <label>
        Strategies: patterns separated by commas; empty means all
        <input name="strategies" placeholder="eth-*, btc-trend" autoComplete="off" />
      </label>
      <label>
        Chains, the same
        <input name="chains" placeholder="ethereum" autoComplete="off" />
      </label>
      <fieldset className="checks">
        <legend>Blocks</legend>
        {NAMES.map((block) => (
          <label key={block} className="check">
            <input type="checkbox" name="blocks" value={block} defaultChecked /> {BLOCKS[block]}
          </label>
        ))}
      </fieldset>
      <label className="check">
        <input type="checkbox" checked={recurs} onChange={({ target }) => setRecurs(target.checked)} /> Comes
        again by a rule
      </label>
      {recurs ? (
        <>
          <label>
            Begins, as cron: minute, hour, day, month, weekday
            <input name="rule" required placeholder="0 21 * * FRI" autoComplete="off" />
          </label>
          <label>
            Time zone of the rule
            <input
              name="timeZone"
              required
              defaultValue={Intl.DateTimeFormat().resolvedOptions().timeZone}
              autoComplete="off"
            />
          </label>
          <label>
            Lasts, minutes
            <input name="durationMinutes" required inputMode="numeric" pattern="[0-9]+" />
          </label>
        </>
      ) : (
        <label>
          From; empty means now
          <input name="from" type="datetime-local" />
        </label>
      )}
      <label>
        {recurs ? 'Until; empty means indefinitely' : 'Until; empty means until it is lifted'}
        <input name="until" type="datetime-local" />
      </label>
      <label>
        Reason; shown with every refusal
        <input name="reason" required autoComplete="off" />
      </label>
    </FormDialog>
  );
}

function inputOf(fields: FormData, recurs: boolean, idempotencyKey: string): CreateFreezeInput {
  const instant = (name: string) => {
    const text = textOf(fields, name);
    return text === null ? null : new Date(text).toISOString();
  };
  const asked = fields.getAll('blocks');
  return {
    strategies: listOf(fields, 'strategies'),
    chains: listOf(fields, 'chains'),
    blocks: NAMES.filter((block) => asked.includes(block)),
    from: instant('from'),
    until: instant('until'),
    reason: textOf(fields, 'reason') ?? '',
    recurrence: recurs
      ? {
          rule: textOf(fields, 'rule') ?? '',
          timeZone: textOf(fields, 'timeZone') ?? '',
          durationMinutes: Number(textOf(fields, 'durationMinutes')),
        }
      : null,
    idempotencyKey,
  };
}
