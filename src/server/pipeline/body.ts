/** Reads request bodies: bounded in size, with numbers kept exact. */
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { isSafeNumber, LosslessNumber, parse as parseLossless } from 'lossless-json';
import { tooLong } from './admission.ts';
import { decompress, REQUEST_CODINGS } from './contentEncoding.ts';

/**
 * Refuses invalid UTF-8: decoding it with replacement characters would store something else than was sent. Drops a byte
 * order mark, which some programs begin a text with: it is no part of the JSON.
 */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A number with more digits than a double preserves. */
const LONG_NUMBER = /[\d.]{16,}/;

/** Of the bodies that were read, bytes. */
const lengths = new WeakMap<Request, number>();

/** The length of the body of a request, after its content coding; undefined if none was read. */
export const lengthOfBody = (request: Request | undefined): number | undefined =>
  request && lengths.get(request);

/** Parses JSON bodies. Long numbers in variables are kept as written. */
export function readBodies(maxBytes: number): Plugin {
  return {
    onRequestParse({ request, setRequestParser }) {
      if (request.method !== 'POST') return;
      setRequestParser(async (posted) => {
        const bytes = await decoded(posted, maxBytes);
        lengths.set(posted, bytes.byteLength);
        const body = readJson(bytes);
        if (body === null || typeof body !== 'object') throw badBody('the body must be a JSON object');
        if (Array.isArray(body)) throw badBody('batching is not supported: send one operation per request');
        return body;
      });
    },
  };
}

/** The JSON of a body. Throws the GraphQL error for the caller if it is not JSON. */
export function readJson(bytes: ArrayBuffer | Uint8Array): unknown {
  const text = textOf(bytes);
  try {
    return LONG_NUMBER.test(text) ? parseLossless(text, null, exactNumber) : JSON.parse(text);
  } catch (error) {
    throw badBody(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function textOf(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw badBody('the body is not UTF-8, as JSON must be');
  }
}

/** The bytes of a body after its content coding. */
async function decoded(request: Request, maxBytes: number): Promise<ArrayBuffer | Uint8Array> {
  const bytes = await bytesOf(request, maxBytes).catch(neverArrived);
  const coding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding === 'identity' || coding === '') return bytes;
  const body = await decompress(new Uint8Array(bytes), coding, maxBytes);
  if (body === 'TOO_LONG') throw badBody(`${tooLong(maxBytes)} after decoding`, 413);
  if (body === 'INVALID') throw badBody(`the body is not valid ${coding}, as its Content-Encoding says`);
  if (body !== 'UNKNOWN') return body;
  const message = `Content-Encoding ${coding} is not supported: send ${REQUEST_CODINGS}, or no coding`;
  throw badBody(message, 415, { 'accept-encoding': REQUEST_CODINGS });
}

/** Reads a body with or without a content length. A body that is too long is refused while it arrives. */
async function bytesOf(request: Request, maxBytes: number): Promise<ArrayBuffer | Uint8Array> {
  return request.headers.has('content-length') ? request.arrayBuffer() : bytesWithin(request, maxBytes);
}

async function bytesWithin(request: Request, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const reader = request.body?.getReader();
  // Not cancelled when it is too long: that would close the connection before the response is sent.
  for (let bytes = 0; reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    if (bytes > maxBytes) throw badBody(tooLong(maxBytes), 413);
    chunks.push(value);
  }
  return Buffer.concat(chunks);
}

/** A caller that disconnects while sending is an error of the caller, not of the server or the database. */
function neverArrived(error: unknown): never {
  throw error instanceof GraphQLError ? error : badBody('the body did not arrive');
}

/** A plain number if that is exact. */
export function exactNumber(text: string): number | LosslessNumber {
  return isSafeNumber(text) ? Number(text) : new LosslessNumber(text);
}

function badBody(
  message: string,
  status = 400,
  headers: Readonly<Record<string, string>> = {},
): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status, headers } } });
}
