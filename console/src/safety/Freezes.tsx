/** Freezes, the newest first: what each blocks, when, and who made it. */
import type { ReactElement } from 'react';
import { request } from '../api/client';
import { serinNow } from '../api/clock';
import { type FreezeFieldsFragment, FreezesDocument, LiftFreezeDocument } from '../api/generated/graphql';
import { FormDialog, textOf } from '../ui/FormDialog';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { ACTIONS_HEAD, ListTable } from '../ui/ListTable';
import { ReasonField } from '../ui/ReasonField';
import { usePages } from '../ui/usePages';
import { useMay, useViewer } from '../ui/viewer';
import { BLOCKS, NewFreeze } from './NewFreeze';

export function Freezes(): ReactElement {
  const pages = usePages(FreezesDocument, ({ freezes }) => freezes);
  return (
    <div className="stack">
      <div className="panel-head">
        <h2>Freezes</h2>
        {useMay('OPERATOR') ? <NewFreeze onDone={pages.refresh} /> : null}
      </div>
      <ListFrame pages={pages} empty="There is no freeze">
        <ListTable label="Freezes" heads={['State', 'Strategies', 'Blocks', 'When', 'Why', ACTIONS_HEAD]}>
          {pages.items.map((freeze) => (
            <FreezeRow key={freeze.id} freeze={freeze} onDone={pages.refresh} />
          ))}
        </ListTable>
      </ListFrame>
    </div>
  );
}

interface FreezeRowProps {
  readonly freeze: FreezeFieldsFragment;
  readonly onDone: () => void;
}

function FreezeRow({ freeze, onDone }: FreezeRowProps): ReactElement {
  const { id, strategies, chains, blocks, reason, createdAt, createdBy, liftedAt, liftedBy, lossBudgetId } =
    freeze;
  const { actor } = useViewer();
  const admin = useMay('ADMIN');
  const operator = useMay('OPERATOR');
  const mayLift = admin || (operator && createdBy === actor);
  return (
    <tr>
      <td className="nowrap">
        <FreezeState freeze={freeze} />
      </td>
      <th scope="row">
        <Patterns of={strategies} />
        {chains.includes('*') ? null : <span className="quiet"> on {chains.join(', ')}</span>}
      </th>
      <td>{blocks.map((block) => BLOCKS[block]).join(', ')}</td>
      <td>
        <When freeze={freeze} />
      </td>
      <td>
        {reason}{' '}
        <span className="quiet">
          {createdBy}, <Instant at={createdAt} />
          {liftedAt ? (
            <>
              ; lifted by {liftedBy}, <Instant at={liftedAt} />
            </>
          ) : null}
        </span>
      </td>
      <td>
        {isOver(freeze) || !mayLift || lossBudgetId !== null ? null : (
          <FormDialog
            label="Lift …"
            title="Lift the freeze"
            action="Lift"
            onSubmit={async (fields, key) =>
              (
                await request(LiftFreezeDocument, {
                  input: { id, reason: textOf(fields, 'reason'), idempotencyKey: key },
                })
              ).answer
            }
            onDone={onDone}
          >
            <p>What it held on {patterns(strategies)} is decided anew at the next check.</p>
            <ReasonField />
          </FormDialog>
        )}
      </td>
    </tr>
  );
}

/** Patterns, each whole on its line. */
export function Patterns({ of: strategies }: { readonly of: readonly string[] }): ReactElement {
  if (strategies.includes('*')) return <>All strategies</>;
  return (
    <span className="patterns">
      {strategies.map((pattern) => (
        <span key={pattern}>{pattern}</span>
      ))}
    </span>
  );
}

export const patterns = (strategies: readonly string[]) =>
  strategies.includes('*') ? 'All strategies' : strategies.join(', ');

const isOver = ({ liftedAt, activeNow, nextFrom }: FreezeFieldsFragment) =>
  liftedAt !== null || (!activeNow && nextFrom === null);

function FreezeState({ freeze }: { readonly freeze: FreezeFieldsFragment }): ReactElement {
  if (freeze.liftedAt !== null) return <span className="badge tone-quiet">○ Lifted</span>;
  if (freeze.activeNow) return <span className="badge tone-wait">❄ Active</span>;
  if (freeze.nextFrom !== null) return <span className="badge tone-live">◷ Planned</span>;
  return <span className="badge tone-quiet">✓ Over</span>;
}

function When({ freeze }: { readonly freeze: FreezeFieldsFragment }): ReactElement {
  const { recurrence, from, until, activeNow, activeUntil, nextFrom } = freeze;
  const now = serinNow();
  return (
    <>
      {recurrence ? (
        <>
          <code>{recurrence.rule}</code> {recurrence.timeZone}, {recurrence.durationMinutes} min each time
        </>
      ) : (
        <>
          <Instant at={from} /> until {until ? <Instant at={until} /> : 'it is lifted'}
        </>
      )}
      {recurrence && activeNow && activeUntil ? (
        <span className="quiet">
          {' '}
          · now until <Instant at={activeUntil} />
        </span>
      ) : null}
      {recurrence && nextFrom && Date.parse(nextFrom) > now ? (
        <span className="quiet">
          {' '}
          · next <Instant at={nextFrom} />
        </span>
      ) : null}
    </>
  );
}
