/** Reading the body of a request: never more than it may be, never a number rounded. */
import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { isSafeNumber, LosslessNumber, parse as parseLossless } from 'lossless-json';
import { tooLong } from './admission.ts';

/** More digits in one number than a double carries from text to text. */
const LONG_NUMBER = /[\d.]{16,}/;

/** Text that is none is refused: decoded anyway, it would be kept as something that nobody sent. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Takes JSON only. Long numbers in variables are taken as written. */
export function readBodies(maxBytes: number): Plugin {
  return {
    onRequestParse({ request, setRequestParser }) {
      if (request.method !== 'POST') return;
      setRequestParser(async (posted) => {
        const body = readJson(await bytesOf(posted, maxBytes).catch(neverArrived));
        if (body === null || typeof body !== 'object') throw badBody('the body must be a JSON object');
        if (Array.isArray(body)) throw badBody('one operation a request: a list of them is not taken');
        return body;
      });
    },
  };
}

/** The JSON of a body. Throws what to answer where there is none. */
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
    return UTF8.decode(bytes);
  } catch {
    throw badBody('the body is not UTF-8, as JSON must be');
  }
}

/** A body that says its length, or does not. Refuses what is too long while it comes in. */
async function bytesOf(request: Request, maxBytes: number): Promise<ArrayBuffer | Uint8Array> {
  return request.headers.has('content-length') ? request.arrayBuffer() : bytesWithin(request, maxBytes);
}

async function bytesWithin(request: Request, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const reader = request.body?.getReader();
  // Not cancelled when it is too long: that would cut the connection before the answer is out.
  for (let bytes = 0; reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    if (bytes > maxBytes) throw badBody(tooLong(maxBytes), 413);
    chunks.push(value);
  }
  return Buffer.concat(chunks);
}

/** A caller that is gone half way is no fault of ours, and none of the database. */
function neverArrived(error: unknown): never {
  throw error instanceof GraphQLError ? error : badBody('the body did not arrive');
}

/** A plain number where that loses nothing. */
function exactNumber(text: string): number | LosslessNumber {
  return isSafeNumber(text) ? Number(text) : new LosslessNumber(text);
}

function badBody(message: string, status = 400): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status } } });
}
