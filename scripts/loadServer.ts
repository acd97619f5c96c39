/**
 * What the bundle has in place of `src/serve.ts`: the server in one file, and what V8 made of it when it compiled it the
 * first time. Compiling it again would take a quarter of a start. Node caches no code of ESM before version 22.
 */
import { accessSync, constants, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { cachedDataVersionTag } from 'node:v8';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** The name of the server's file, which changes with what is in it; `bundle.ts` sets it. */
declare const SERVER_FILE: string;

const url = new URL(SERVER_FILE, import.meta.url).href;
const path = fileURLToPath(url);
/** One for each version of V8, and for each set of its flags that matters. */
const cache = `${path}.${cachedDataVersionTag()}.cache`;
/** Behind the data. */
const CHECKSUM_BYTES = 4;

/** What was written, if it is still all there: V8 itself would crash on damaged data. */
function readCache(): Buffer | undefined {
  try {
    const written = readFileSync(cache);
    const data = written.subarray(0, -CHECKSUM_BYTES);
    return crc32(data) === written.readUInt32LE(data.length) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Where the folder is not to be written, every start compiles. */
function writeCache(script: Script): void {
  const writing = `${cache}.${process.pid}`;
  try {
    accessSync(new URL('.', url), constants.W_OK);
    const data = script.createCachedData();
    const checksum = Buffer.alloc(CHECKSUM_BYTES);
    checksum.writeUInt32LE(crc32(data));
    writeFileSync(writing, Buffer.concat([data, checksum]));
    renameSync(writing, cache);
  } catch {
    // It saves time, and nothing else.
  }
}

const cachedData = readCache();
const script = new Script(readFileSync(path, 'latin1'), {
  filename: path,
  ...(cachedData && { cachedData }),
});
const module = { exports: {} as typeof import('../src/serve.ts') };
script.runInThisContext()(module, module.exports, createRequire(url), url);
if (!cachedData || script.cachedDataRejected) writeCache(script);

export const { serve } = module.exports;
