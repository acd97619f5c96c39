/** Loss budgets, the newest first: how much of each is used, what it does when it is broken, and how to arm it again. */
import type { ReactElement } from 'react';
import { request } from '../api/client';
import {
  DeleteLossBudgetDocument,
  type LossBudgetFieldsFragment,
  LossBudgetsDocument,
  UpdateLossBudgetDocument,
} from '../api/generated/graphql';
import { percent, usd } from '../format';
import { FormDialog, textOf } from '../ui/FormDialog';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { ACTIONS_HEAD, ListTable } from '../ui/ListTable';
import { ReasonField } from '../ui/ReasonField';
import { usePages } from '../ui/usePages';
import { useMay } from '../ui/viewer';
import { Patterns, patterns } from './Freezes';
import { ACTIONS, NewBudget } from './NewBudget';

export function Budgets(): ReactElement {
  const pages = usePages(LossBudgetsDocument, ({ lossBudgets }) => lossBudgets);
  return (
    <div className="stack">
      <div className="panel-head">
        <h2>Loss budgets</h2>
        {useMay('ADMIN') ? <NewBudget onDone={pages.refresh} /> : null}
      </div>
      <ListFrame pages={pages} empty="There is no loss budget: only guardrails watch what canaries lose">
        <ListTable
          label="Loss budgets"
          heads={['State', 'Budget', 'Used', 'When it is broken', ACTIONS_HEAD]}
        >
          {pages.items.map((budget) => (
            <BudgetRow key={budget.id} budget={budget} onDone={pages.refresh} />
          ))}
        </ListTable>
      </ListFrame>
    </div>
  );
}

interface BudgetProps {
  readonly budget: LossBudgetFieldsFragment;
  readonly onDone: () => void;
}

function BudgetRow({ budget, onDone }: BudgetProps): ReactElement {
  const { name, strategies, action, count, rearm, state, trippedAt, createdAt, createdBy } = budget;
  const admin = useMay('ADMIN');
  return (
    <tr>
      <td className="nowrap">
        {state === 'TRIPPED' ? (
          <span className="badge tone-bad">✕ Broken</span>
        ) : (
          <span className="badge tone-good">✓ Armed</span>
        )}
        {trippedAt ? (
          <span className="quiet">
            {' '}
            <Instant at={trippedAt} />
          </span>
        ) : null}
      </td>
      <th scope="row">
        {name}{' '}
        <span className="quiet">
          <Patterns of={strategies} />
        </span>
      </th>
      <td>
        <Used budget={budget} />
      </td>
      <td>
        {ACTIONS[action]}
        {count === 'LOSERS_ONLY' ? '; gains do not offset losses' : ''}
        {rearm === 'WINDOW' ? '; armed again when the loss has left the window' : ''}{' '}
        <span className="quiet">
          {createdBy}, <Instant at={createdAt} />
        </span>
      </td>
      <td>
        {admin ? (
          <div className="buttons">
            {state === 'TRIPPED' ? <Rearm budget={budget} onDone={onDone} /> : null}
            <Delete budget={budget} onDone={onDone} />
          </div>
        ) : null}
      </td>
    </tr>
  );
}

function Used({ budget }: Pick<BudgetProps, 'budget'>): ReactElement {
  const { name, lossUsd, maxLossUsd, windowHours, countsFrom } = budget;
  const most = `${usd(maxLossUsd)} in ${windowHours} h`;
  if (lossUsd === null)
    return <span className="quiet">at most {most}; you do not see all of its strategies</span>;
  const used = Number(lossUsd) / Number(maxLossUsd);
  const text = `${usd(lossUsd)} of ${most} (${percent(used, 0)})`;
  return (
    <>
      <span className="number">{text}</span>
      <meter
        className="guardrail-bar"
        aria-label={`${name}: ${text}`}
        min={0}
        max={1}
        low={0.7}
        high={0.9}
        optimum={0}
        value={Math.min(1, used)}
      />
      {countsFrom ? (
        <span className="quiet">
          counted from <Instant at={countsFrom} />
        </span>
      ) : null}
    </>
  );
}

function Rearm({ budget: { id, name, strategies }, onDone }: BudgetProps): ReactElement {
  return (
    <FormDialog
      label="Arm again …"
      title="Arm the loss budget again"
      action="Arm again"
      onSubmit={async (fields, key) =>
        (
          await request(UpdateLossBudgetDocument, {
            input: { id, rearm: true, reason: textOf(fields, 'reason'), idempotencyKey: key },
          })
        ).answer
      }
      onDone={onDone}
    >
      <p>
        {name}: the freeze of {patterns(strategies)} ends, and what was lost until now does not count any
        more.
      </p>
      <ReasonField required />
    </FormDialog>
  );
}

function Delete({ budget: { id, name, state }, onDone }: BudgetProps): ReactElement {
  return (
    <FormDialog
      label="Delete …"
      title="Delete the loss budget"
      tone="danger"
      action="Delete"
      onSubmit={async (fields, key) =>
        (
          await request(DeleteLossBudgetDocument, {
            input: { id, reason: textOf(fields, 'reason'), idempotencyKey: key },
          })
        ).answer
      }
      onDone={onDone}
    >
      <p>
        {name}: nothing watches these losses any more.{state === 'TRIPPED' ? ' Its freeze ends.' : ''}
      </p>
      <ReasonField />
    </FormDialog>
  );
}
