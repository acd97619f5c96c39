/** API keys for tests: the first one is created like the command line does, the others by an administrator over HTTP. */
import { openActor } from '../../src/access/actor.ts';
import { createKey } from '../../src/access/keys.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import type { Door, TestSerin } from './serin.ts';

export const WITH_KEYS = { keys: true, tokens: null, botsReduceRisk: false };

/** An administrator of all strategies. */
export async function administrator(serin: TestSerin): Promise<Door> {
  const database = openDatabase({ url: serin.database.url, poolSize: 1 });
  try {
    const request = { name: 'root', role: 'ADMIN', strategies: null, expiresAt: null } as const;
    const { key, refusal } = await createKey(database.db, openActor('setup'), request);
    if (key === null) throw new Error(refusal?.message ?? 'no key was made');
    return serin.as(key);
  } finally {
    await database.close();
  }
}

let made = 0;

/** A new key. */
export async function makeKey(
  by: Door,
  role: string,
  more: { name?: string; strategies?: string[]; expiresAt?: string } = {},
): Promise<string> {
  made += 1;
  const { createApiKey } = await by.ask(
    'mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { success message key } }',
    { input: { name: `${role.toLowerCase()}-${made}`, role, ...more } },
  );
  if (!createApiKey.success) throw new Error(createApiKey.message);
  return createApiKey.key;
}
