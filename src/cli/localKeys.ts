/** The keys in the database of this machine: whoever may open it needs no key. */
import { openActor } from '../access/actor.ts';
import { createKey, type KeyAnswer, messageOf, revokeKey } from '../access/keys.ts';
import { type ApiKey, pageApiKeys } from '../store/access/apiKeys.ts';
import type { Database } from '../store/postgres/database.ts';
import type { KeyResult, Keys, KeyView } from './keyOperations.ts';
import { describeLocalDatabase, withLocalDatabase } from './localDatabase.ts';
import { userName } from './userName.ts';

const PAGE = 200;

/** The keys of the database that a Serin with these variables would use. */
export function localKeys(variables: NodeJS.ProcessEnv): Keys {
  const open = <Result>(work: (database: Database) => Promise<Result>) =>
    withLocalDatabase(variables, { migrate: true }, work);
  const actor = openActor(userName());
  return {
    place: describeLocalDatabase(variables),
    create: ({ expiresAt, ...key }) =>
      open(async ({ db }) => {
        const expires = expiresAt === null ? null : Date.parse(expiresAt);
        return resultOf(await createKey(db, actor, { ...key, expiresAt: expires }));
      }),
    list: () => open(allKeys),
    revoke: (idOrName) => open(async ({ db }) => resultOf(await revokeKey(db, actor, idOrName))),
  };
}

async function allKeys({ db }: Database): Promise<KeyView[]> {
  const all: KeyView[] = [];
  for (let after: ApiKey | undefined; ; ) {
    const page = await pageApiKeys(db, { scope: null, limit: PAGE, after });
    all.push(...page.map(viewOf));
    after = page.at(-1);
    if (!after) return all;
  }
}

function resultOf(answer: KeyAnswer): KeyResult {
  const { refusal: error, apiKey, key } = answer;
  const message = messageOf(answer);
  return { success: error === null, message, error, apiKey: apiKey && viewOf(apiKey), key };
}

const instantOf = (at: number | null) => (at === null ? null : new Date(at).toISOString());

function viewOf(key: ApiKey): KeyView {
  const { id, name, role, strategies, sides, person, createdBy, expired } = key;
  return {
    id,
    name,
    role,
    strategies,
    sides,
    person,
    createdAt: new Date(key.createdAt).toISOString(),
    createdBy,
    expiresAt: instantOf(key.expiresAt),
    expired,
    revokedAt: instantOf(key.revokedAt),
    lastUsedAt: instantOf(key.lastUsedAt),
  };
}
