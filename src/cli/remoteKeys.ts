/** The keys of a server, over its API: an administrator makes and revokes them from anywhere. */
import type { SerinClient } from '../client/index.ts';
import type { KeyResult, Keys, KeyView } from './keyOperations.ts';
import { type Paged, readUpTo } from './paging.ts';

const KEY = 'id name role strategies sides person createdAt createdBy expiresAt expired revokedAt lastUsedAt';
const RESULT = `success message error { code message path } apiKey { ${KEY} }`;
const LIST = `query ($first: Int!, $after: String) { apiKeys(first: $first, after: $after) {
  nodes { ${KEY} } pageInfo { hasNextPage endCursor } } }`;
const CREATE = `mutation ($input: CreateApiKeyInput!) { result: createApiKey(input: $input) { ${RESULT} key } }`;
const REVOKE = `mutation ($input: RevokeApiKeyInput!) { result: revokeApiKey(input: $input) { ${RESULT} } }`;

/** Asks the server. A name can be taken once, so that a creation that is sent again makes no second key. */
export function askedKeys(serin: SerinClient): Keys {
  const send = async (document: string, input: Readonly<Record<string, unknown>>) =>
    (await serin.query<{ result: KeyResult }>(document, { input })).result;
  return {
    place: null,
    create: (key) => send(CREATE, { ...key }),
    async list() {
      const { found } = await readUpTo(Number.POSITIVE_INFINITY, async (first, after) => {
        const page = await serin.query<{ apiKeys: Paged<KeyView> }>(LIST, { first, after });
        return page.apiKeys;
      });
      return found;
    },
    revoke: (id) => send(REVOKE, { id }),
  };
}
