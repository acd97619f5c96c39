/**
 * Documents that were found valid, so that a repeated one is neither parsed nor validated again. Bounded by the memory that
 * they take; what is invalid is not remembered.
 */
import type { DocumentNode } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';

/** Bytes that all documents together may take, as estimated. */
const MAX_BYTES = 32_000_000;
/** Bytes of one document beyond which it is not remembered: clients repeat documents of a few kilobytes. */
const MAX_DOCUMENT_BYTES = 2_000_000;
/** Bytes of a token with its part of the tree; measured on documents of the console. */
const BYTES_OF_TOKEN = 500;

export interface DocumentCache {
  /** The valid document of a text; undefined if it is not remembered. */
  find(text: string): DocumentNode | undefined;
  /** Remembers what Yoga parses and finds valid. */
  readonly plugin: Plugin;
}

export function createDocumentCache(): DocumentCache {
  const documents = new LRUCache<string, DocumentNode>({
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_DOCUMENT_BYTES,
    sizeCalculation: bytesOfDocument,
  });
  const valid = new WeakSet<DocumentNode>();
  const find = (text: string) => documents.get(text);
  return {
    find,
    plugin: {
      onParse({ params, setParsedDocument }) {
        const known = find(params.source.toString());
        if (known) setParsedDocument(known);
      },
      onValidate({ params: { documentAST }, setResult }) {
        if (valid.has(documentAST)) {
          setResult([]);
          return undefined;
        }
        return ({ result }) => {
          const text = documentAST.loc?.source.body;
          if (result.length > 0 || text === undefined) return;
          valid.add(documentAST);
          documents.set(text, documentAST);
        };
      },
    },
  };
}

/** The memory of a document: it keeps its text and every token. */
export function bytesOfDocument({ loc, tokenCount }: DocumentNode): number {
  return 2 * (loc?.source.body.length ?? 0) + BYTES_OF_TOKEN * (tokenCount ?? 0) + 1;
}
