/** The program that users run, with its console, for tests of processes and pages: built at the first use in a run. */
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');

// One build at a time, and none where `dist` is of these sources.
await promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/build.ts'], { cwd: ROOT });

/** The file that `node` runs. */
export const PROGRAM = join(ROOT, 'dist/main.js');
