/**
 * The lock of a data folder, so that only one Serin uses it at a time, and the address of the database that the lock's
 * owner has started. A lock whose process has ended is taken over.
 */
import { readFileSync } from 'node:fs';
import { link, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const LOCK = 'serin.pid';

/** Locks the folder for this process. @throws {Error} if another process holds the lock or the folder is read-only */
export async function takeLock(root: string): Promise<void> {
  const file = join(root, LOCK);
  try {
    await mkdir(root, { recursive: true });
  } catch (error) {
    throw explainFolder(error, root);
  }
  // With the folder: a copy of it has a copy of the lock, and that one belongs to the original.
  const mine = `${process.pid} ${startTimeOf(process.pid)} ${await realpath(root)}`;
  for (;;) {
    try {
      await createWhole(file, mine);
      return;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw explainFolder(error, root);
    }
    const found = await readLock(root);
    const owner = await ownerOf(root);
    if (owner !== null && owner !== process.pid) {
      throw new Error(
        `The data folder ${root} is in use by another Serin (process ${owner}): stop that one, or set ` +
          'SERIN_DATA_DIR to another folder',
      );
    }
    await removeStale(file, found);
  }
}

/** Creates a file that nobody sees without its content: an empty lock would look as if nobody held it. */
async function createWhole(file: string, content: string): Promise<void> {
  const aside = `${file}.${process.pid}`;
  try {
    // On a full disk this creates the file and leaves it empty.
    await writeFile(aside, content);
    await link(aside, file).catch((error: unknown) => {
      if (isErrno(error, 'EEXIST')) throw error;
      // A file system without hard links.
      return writeFile(file, content, { flag: 'wx' });
    });
  } finally {
    await rm(aside, { force: true });
  }
}

/** Removes a lock without a holder. Another start may have taken it over meanwhile: its lock is restored. */
async function removeStale(file: string, stale: string): Promise<void> {
  const aside = `${file}.${process.pid}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== stale) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

export async function releaseLock(root: string): Promise<void> {
  await rm(join(root, LOCK), { force: true });
}

const readLock = (root: string) => readFile(join(root, LOCK), 'utf8').catch(() => '');

/** The id of the running process that holds the lock; null if there is none. */
async function ownerOf(root: string): Promise<number | null> {
  const [pid, startTime, ...folder] = (await readLock(root)).split(' ');
  const owner = Number(pid);
  if (folder.length > 0 && folder.join(' ') !== (await realpath(root))) return null;
  return owner > 0 && isAlive(owner) && startTimeOf(owner) === startTime ? owner : null;
}

/** The address of the database that a running Serin has started in a folder; null if no Serin runs there. */
export async function findRunningDatabase(dataDir: string): Promise<string | null> {
  const root = resolve(dataDir);
  if ((await ownerOf(root)) === null) return null;
  const password = await readPassword(root);
  const port = (await readFile(join(root, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[3];
  return databaseAddress(password, Number(port));
}

/** The file beside the database that has its password. */
export const passwordFileOf = (root: string) => join(root, 'postgres.password');

/** @throws {Error} with what to do, where the file was not copied with the database, or belongs to another user */
export async function readPassword(root: string): Promise<string> {
  try {
    return (await readFile(passwordFileOf(root), 'utf8')).trim();
  } catch (error) {
    throw new Error(
      `The password of the database in ${root} cannot be read: postgres.password belongs to the folder, copy it with ` +
        'the rest, and run Serin as its user',
      { cause: error },
    );
  }
}

/** The address of the embedded PostgreSQL. */
export const databaseAddress = (password: string, port: number) =>
  `postgres://serin:${password}@127.0.0.1:${port}/postgres`;

function explainFolder(error: unknown, root: string): Error {
  return new Error(`The data folder ${root} is not writable: set SERIN_DATA_DIR to a folder that is`, {
    cause: error,
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Whether a process with this id is running. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

/** Distinguishes a process from a later one with the same id; empty where the system does not report it. */
function startTimeOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields[19] ?? '';
  } catch {
    return '';
  }
}
