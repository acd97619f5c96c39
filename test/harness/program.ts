/** The program that users run, for tests of processes: built at its first use, with its bundle and its code cache. */
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');

// Does nothing where `dist` is of these sources.
await promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { cwd: ROOT });

/** The file that `node` runs. */
export const PROGRAM = join(ROOT, 'dist/main.js');
