/**
 * Automatic persisted queries: a client sends the SHA-256 hash of a document instead of the document, and the document
 * itself after the error `PersistedQueryNotFound`. Documents are kept in the memory of the node, the least recently used
 * ones are forgotten first, and every one is checked against the same limits as any other.
 */
import { hash as hashOf } from 'node:crypto';
import { GraphQLError } from 'graphql';
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';

/** Most characters of kept documents. */
const MAX_CHARACTERS = 2_000_000;
/** Longer documents are not kept, characters. */
const MAX_DOCUMENT = 100_000;

export interface PersistedQueries {
  /** The parameters with the document of their hash; unchanged without a hash. Throws the error for the client. */
  resolve<P extends GraphQLParams>(params: P): P;
  /** Resolves the parameters of Yoga's requests. */
  readonly plugin: Plugin;
}

const requested = z.object({
  persistedQuery: z.object({ version: z.literal(1), sha256Hash: z.string().regex(/^[0-9a-f]{64}$/i) }),
});

export function createPersistedQueries(): PersistedQueries {
  const documents = new LRUCache<string, string>({
    maxSize: MAX_CHARACTERS,
    maxEntrySize: MAX_DOCUMENT,
    sizeCalculation: (document) => document.length,
  });

  const resolve = <P extends GraphQLParams>(params: P): P => {
    if (params.extensions?.persistedQuery === undefined) return params;
    const { success, data } = requested.safeParse(params.extensions);
    if (!success) {
      throw refusal('extensions.persistedQuery must have version 1 and a sha256Hash', 'BAD_REQUEST', 400);
    }
    const hash = data.persistedQuery.sha256Hash.toLowerCase();
    const { query } = params;
    if (!query) {
      const document = documents.get(hash);
      // Clients recognise this message. They send the document next, so it is no failure of HTTP.
      if (document === undefined) throw refusal('PersistedQueryNotFound', 'PERSISTED_QUERY_NOT_FOUND', 200);
      return { ...params, query: document };
    }
    if (hashOf('sha256', query, 'hex') !== hash) {
      throw refusal('The hash of the persisted query does not match its document', 'BAD_REQUEST', 400);
    }
    documents.set(hash, query);
    return params;
  };

  return {
    resolve,
    plugin: {
      onParams({ params, setParams }) {
        setParams(resolve(params));
      },
    },
  };
}

function refusal(message: string, code: string, status: number): GraphQLError {
  return new GraphQLError(message, { extensions: { code, http: { status } } });
}
