/** API keys for tests: made like the command line does, or by an administrator over HTTP. */
import { openActor } from '../../src/access/actor.ts';
import { createKey, type KeyRequest } from '../../src/access/keys.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import type { TestCaller, TestSerin } from './serin.ts';

export const WITH_KEYS = { keys: true, tokens: null, botsReduceRisk: false };

/** A key that is made on the server, as `serin keys create` does. */
export async function keyMadeHere(
  serin: Pick<TestSerin, 'database'>,
  request: Omit<KeyRequest, 'strategies' | 'expiresAt'> & Partial<KeyRequest>,
): Promise<string> {
  const database = openDatabase({ url: serin.database.url, poolSize: 1 });
  try {
    const made = { strategies: null, expiresAt: null, ...request };
    const { key, refusal } = await createKey(database.db, openActor('cli:setup'), made);
    if (key === null) throw new Error(refusal?.message ?? 'no key was made');
    return key;
  } finally {
    await database.close();
  }
}

/** An administrator of all strategies. */
export const administrator = async (serin: TestSerin): Promise<TestCaller> =>
  serin.as(await keyMadeHere(serin, { name: 'root', role: 'ADMIN' }));

/** The key of a person, who counts where two people are needed. */
export const personsKey = (serin: TestSerin, name: string, role: KeyRequest['role'] = 'OPERATOR') =>
  keyMadeHere(serin, { name, role, person: `${name}@example.org` });

let made = 0;

/** A new key, made over HTTP. */
export async function makeKey(
  by: TestCaller,
  role: string,
  more: { name?: string; strategies?: string[]; sides?: string[]; person?: string; expiresAt?: string } = {},
): Promise<string> {
  made += 1;
  const { createApiKey } = await by.ask(
    'mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { success message key } }',
    { input: { name: `${role.toLowerCase()}-${made}`, role, ...more } },
  );
  if (!createApiKey.success) throw new Error(createApiKey.message);
  return createApiKey.key;
}
