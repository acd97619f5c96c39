/** The form of a loss budget: of which strategies, how much in how many hours, and what happens then. */
import type { ReactElement } from 'react';
import { request } from '../api/client';
import {
  CreateLossBudgetDocument,
  type CreateLossBudgetInput,
  type LossBudgetAction,
} from '../api/generated/graphql';
import { FormDialog, listOf, textOf } from '../ui/FormDialog';

export const ACTIONS: Record<LossBudgetAction, string> = {
  ROLLBACK_ALL: 'Rolls back all of them',
  ROLLBACK_LOSERS: 'Rolls back those that have lost',
  PAUSE: 'Pauses them; their capital stays at work',
  FREEZE: 'Freezes their strategies; their capital stays at work',
};
const NAMES = [
  'ROLLBACK_ALL',
  'ROLLBACK_LOSERS',
  'PAUSE',
  'FREEZE',
] as const satisfies readonly LossBudgetAction[];

export function NewBudget({ onDone }: { readonly onDone: () => void }): ReactElement {
  const create = async (fields: FormData, key: string) =>
    (await request(CreateLossBudgetDocument, { input: inputOf(fields, key) })).answer;
  return (
    <FormDialog
      label="New loss budget …"
      title="New loss budget"
      tone="main"
      action="Create"
      onSubmit={create}
      onDone={onDone}
    >
      <label>
        Name
        <input name="name" required maxLength={100} placeholder="eth desk" autoComplete="off" />
      </label>
      <label>
        Strategies: patterns separated by commas; empty means all
        <input name="strategies" placeholder="eth-*, btc-trend" autoComplete="off" />
      </label>
      <label>
        Loss limit of their canaries together, USD
        <input
          name="maxLossUsd"
          required
          inputMode="decimal"
          pattern="[0-9]+(\.[0-9]+)?"
          autoComplete="off"
        />
      </label>
      <label>
        Window, hours
        <input name="windowHours" required inputMode="numeric" pattern="[0-9]+" defaultValue="24" />
      </label>
      <label>
        When the limit is exceeded
        <select name="action" defaultValue="ROLLBACK_ALL">
          {NAMES.map((name) => (
            <option key={name} value={name}>
              {ACTIONS[name]}
            </option>
          ))}
        </select>
      </label>
      <p className="quiet">Nothing begins on the strategies of an exceeded budget until it is armed again.</p>
      <label className="check">
        <input type="checkbox" name="losersOnly" /> Gains of one canary do not offset the losses of another
      </label>
      <label className="check">
        <input type="checkbox" name="byWindow" /> Armed again without a person when the loss has left the
        window
      </label>
    </FormDialog>
  );
}

function inputOf(fields: FormData, idempotencyKey: string): CreateLossBudgetInput {
  return {
    name: textOf(fields, 'name') ?? '',
    strategies: listOf(fields, 'strategies'),
    maxLossUsd: textOf(fields, 'maxLossUsd') ?? '',
    windowHours: Number(textOf(fields, 'windowHours')),
    action: NAMES.find((name) => name === fields.get('action')) ?? 'ROLLBACK_ALL',
    count: fields.get('losersOnly') === 'on' ? 'LOSERS_ONLY' : 'NET',
    rearm: fields.get('byWindow') === 'on' ? 'WINDOW' : 'MANUAL',
    idempotencyKey,
  };
}
