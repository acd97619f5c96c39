/** The keys of a server, over its API: an administrator makes and revokes them from anywhere. */
import type { SerinClient } from '../client/index.ts';
import type { KeyResult, Keys, KeyView } from './keyOperations.ts';

const KEY = 'id name role strategies sides person createdAt createdBy expiresAt expired revokedAt lastUsedAt';
const RESULT = `success message error { code message path } apiKey { ${KEY} }`;
const LIST = `query ($after: String) { apiKeys(first: 100, after: $after) {
  nodes { ${KEY} } pageInfo { hasNextPage endCursor } } }`;
const CREATE = `mutation ($input: CreateApiKeyInput!) { result: createApiKey(input: $input) { ${RESULT} key } }`;
const REVOKE = `mutation ($input: RevokeApiKeyInput!) { result: revokeApiKey(input: $input) { ${RESULT} } }`;

interface Page {
  readonly apiKeys: {
    readonly nodes: readonly KeyView[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

/** Asks the server. A name can be taken once, so that a creation that is sent again makes no second key. */
export function askedKeys(serin: SerinClient): Keys {
  const send = async (document: string, input: Readonly<Record<string, unknown>>) =>
    (await serin.query<{ result: KeyResult }>(document, { input })).result;
  return {
    place: null,
    create: (key) => send(CREATE, { ...key }),
    async list() {
      const all: KeyView[] = [];
      for (let after: string | null = null; ; ) {
        const page: Page = await serin.query<Page>(LIST, { after });
        all.push(...page.apiKeys.nodes);
        if (!page.apiKeys.pageInfo.hasNextPage) return all;
        after = page.apiKeys.pageInfo.endCursor;
      }
    },
    revoke: (id) => send(REVOKE, { id }),
  };
}
