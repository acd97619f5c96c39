/**
 * Folders for the data of PostgreSQL, in memory where there is room: a new database is 500 files, and costs four times the
 * processor time on a disk.
 */
import { mkdtemp, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
/** What a whole run needs many times over. Containers often have 64 MB. */
const ROOMY_BYTES = 4 * 1024 ** 3;

/** A new folder; who asked for it removes it. */
export async function dataFolder(name: string): Promise<string> {
  return await mkdtemp(join((await isRoomy()) ? MEMORY : tmpdir(), `serin-${name}-`));
}

async function isRoomy(): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(MEMORY);
    return bavail * bsize >= ROOMY_BYTES;
  } catch {
    return false;
  }
}
