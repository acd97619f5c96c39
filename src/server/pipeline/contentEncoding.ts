/** Content codings of HTTP bodies: `br` and `gzip` for responses, these and `deflate` for requests. */
import { promisify } from 'node:util';
import zlib from 'node:zlib';

export type Coding = 'br' | 'gzip';

/** The codings of responses, the preferred one first. */
export const CODINGS: readonly Coding[] = ['br', 'gzip'];

/** Smaller bodies are sent as they are, in bytes: a packet is sent either way. */
export const MIN_COMPRESSED_BYTES = 1024;

/** The best coding that an `Accept-Encoding` header allows; null if the body must be sent as it is. */
export function acceptedCoding(header: string | null | undefined, available = CODINGS): Coding | null {
  const weights = new Map<string, number>();
  for (const each of (header ?? '').toLowerCase().split(',')) {
    const [name = '', ...parameters] = each.split(';').map((part) => part.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    weights.set(name === 'x-gzip' ? 'gzip' : name, weight === undefined ? 1 : Number(weight.slice(2)));
  }
  return available.find((coding) => (weights.get(coding) ?? weights.get('*') ?? 0) > 0) ?? null;
}

const gzip = promisify(zlib.gzip);
const brotliCompress = promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliCompress);

/** Level 4 of brotli is about as fast as gzip and compresses better. */
const BROTLI: zlib.BrotliOptions = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } };

/** Compresses a body, outside of the event loop. */
export function compress(body: Buffer, coding: Coding): Promise<Buffer> {
  return coding === 'br' ? brotliCompress(body, BROTLI) : gzip(body);
}

type Decompress = (body: Uint8Array, options: { readonly maxOutputLength: number }) => Promise<Buffer>;

const gunzip: Decompress = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip);

const DECOMPRESS: Readonly<Record<string, Decompress>> = {
  br: promisify<zlib.InputType, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress),
  deflate: promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflate),
  gzip: gunzip,
  'x-gzip': gunzip,
};

/** The codings of requests, for `Accept-Encoding` of a refusal. */
export const REQUEST_CODINGS = 'br, gzip, deflate';

/** Decompresses a body of at most `maxBytes` bytes. @returns the bytes, or why there are none */
export async function decompress(
  body: Uint8Array,
  coding: string,
  maxBytes: number,
): Promise<Buffer | 'UNKNOWN' | 'TOO_LONG' | 'INVALID'> {
  const decode = Object.hasOwn(DECOMPRESS, coding) ? DECOMPRESS[coding] : undefined;
  if (!decode) return 'UNKNOWN';
  try {
    return await decode(body, { maxOutputLength: maxBytes });
  } catch (error) {
    return error instanceof RangeError ? 'TOO_LONG' : 'INVALID';
  }
}
