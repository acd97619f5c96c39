/** API keys: who may ask, with which role, on which strategies, for which sides. */
import { type ReactElement, useState } from 'react';
import { request } from '../api/client';
import {
  ApiKeysDocument,
  CreateApiKeyDocument,
  type KeyFieldsFragment,
  RevokeApiKeyDocument,
  type Role,
  type Side,
} from '../api/generated/graphql';
import { FormDialog, listOf, Secret, textOf } from '../ui/FormDialog';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { ACTIONS_HEAD, ListTable } from '../ui/ListTable';
import { usePages } from '../ui/usePages';

const ROLES: readonly Role[] = ['VIEWER', 'BOT', 'OPERATOR', 'ADMIN'];
const SIDES: readonly Side[] = ['CANARY', 'STABLE'];

export function Keys(): ReactElement {
  const pages = usePages(ApiKeysDocument, ({ apiKeys }) => apiKeys);
  const [made, setMade] = useState<string | null>(null);
  return (
    <>
      <div className="buttons">
        <NewKey onMade={setMade} onDone={pages.refresh} />
      </div>
      {made === null ? null : <Secret label="The new key." value={made} />}
      <ListFrame pages={pages} empty="There is no key">
        <ListTable
          label="Keys"
          heads={['Name', 'Role', 'Strategies', 'Begins with', 'Made', 'Last used', 'State', ACTIONS_HEAD]}
        >
          {pages.items.map((key) => (
            <KeyRow key={key.id} apiKey={key} onDone={pages.refresh} />
          ))}
        </ListTable>
      </ListFrame>
    </>
  );
}

interface KeyRowProps {
  readonly apiKey: KeyFieldsFragment;
  readonly onDone: () => void;
}

function KeyRow({ apiKey, onDone }: KeyRowProps): ReactElement {
  const {
    id,
    name,
    person,
    role,
    strategies,
    sides,
    prefix,
    createdAt,
    createdBy,
    expiresAt,
    expired,
    lastUsedAt,
    revokedAt,
  } = apiKey;
  return (
    <tr>
      <th scope="row">
        {name} {person === null ? null : <span className="quiet">of {person}</span>}
      </th>
      <td>
        {role.toLowerCase()}
        {sides === null ? null : <span className="quiet"> for {sides.join(' and ').toLowerCase()}</span>}
      </td>
      <td>{strategies?.join(', ') ?? 'all'}</td>
      <td>
        <code>{prefix}</code>
      </td>
      <td className="nowrap">
        <Instant at={createdAt} /> <span className="quiet">by {createdBy}</span>
      </td>
      <td className="nowrap">{lastUsedAt ? <Instant at={lastUsedAt} /> : 'never'}</td>
      <td className="nowrap">
        {revokedAt ? (
          <span className="badge tone-bad">✕ Revoked</span>
        ) : expired ? (
          <span className="badge tone-wait">○ Expired</span>
        ) : (
          <span className="badge tone-good">✓ Good</span>
        )}
        {expiresAt && !revokedAt ? (
          <>
            {' '}
            {expired ? 'since' : 'until'} <Instant at={expiresAt} />
          </>
        ) : null}
      </td>
      <td>
        {revokedAt ? null : (
          <FormDialog
            label="Revoke …"
            title={`Revoke ${name}`}
            tone="danger"
            action="Revoke"
            onSubmit={async () => (await request(RevokeApiKeyDocument, { input: { id } })).answer}
            onDone={onDone}
          >
            <p>
              Every caller with this key is refused immediately, also on open connections. This cannot be
              undone.
            </p>
          </FormDialog>
        )}
      </td>
    </tr>
  );
}

/** The secret is only in the first answer: a repetition finds the name taken. */
const LOST =
  'Whether the key was made is not known: press again. If its name is taken then, it was made, and its secret is lost: revoke it and make another.';

interface NewKeyProps {
  readonly onMade: (key: string) => void;
  readonly onDone: () => void;
}

function NewKey({ onMade, onDone }: NewKeyProps): ReactElement {
  const create = async (fields: FormData) => {
    const role = ROLES.find((each) => each === fields.get('role')) ?? 'VIEWER';
    const side = SIDES.find((each) => each === fields.get('side'));
    const expires = textOf(fields, 'expiresAt');
    const { answer } = await request(CreateApiKeyDocument, {
      input: {
        name: textOf(fields, 'name') ?? '',
        person: textOf(fields, 'person'),
        role,
        strategies: listOf(fields, 'strategies'),
        sides: side ? [side] : null,
        expiresAt: expires === null ? null : new Date(expires).toISOString(),
      },
    });
    if (answer.key) onMade(answer.key);
    return answer;
  };
  return (
    <FormDialog
      label="New key …"
      title="New key"
      tone="main"
      action="Create"
      whenUnknown={LOST}
      onSubmit={create}
      onDone={onDone}
    >
      <label>
        Name, for the record of what it does
        <input name="name" required autoComplete="off" />
      </label>
      <label>
        Person who holds it; where two people are needed, only keys with a person count
        <input name="person" placeholder="ada@example.org" autoComplete="off" />
      </label>
      <label>
        Role
        <select name="role" defaultValue="BOT">
          {ROLES.map((role) => (
            <option key={role} value={role}>
              {role.toLowerCase()}
            </option>
          ))}
        </select>
      </label>
      <label>
        Strategies: patterns separated by commas; empty means all
        <input name="strategies" placeholder="eth-*, btc-trend" autoComplete="off" />
      </label>
      <label>
        Reports and acknowledges for
        <select name="side" defaultValue="">
          <option value="">both sides</option>
          {SIDES.map((side) => (
            <option key={side} value={side}>
              the {side.toLowerCase()} side
            </option>
          ))}
        </select>
      </label>
      <label>
        Expires
        <input name="expiresAt" type="datetime-local" />
      </label>
    </FormDialog>
  );
}
