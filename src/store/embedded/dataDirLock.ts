/**
 * One Serin a data folder: who holds it, and where the database of a running one is. A lock whose process is gone is
 * taken over.
 */
import { readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const LOCK = 'serin.pid';

/** Takes the folder for this process; an error says who has it. */
export async function takeLock(root: string): Promise<void> {
  const file = join(root, LOCK);
  const mine = `${process.pid} ${startTimeOf(process.pid)}`;
  for (;;) {
    try {
      await writeFile(file, mine, { flag: 'wx' });
      return;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw explainFolder(error, root);
    }
    const holder = await holderOf(root);
    if (holder !== null && holder !== process.pid) {
      throw new Error(
        `The data folder ${root} is in use by another Serin (process ${holder}): stop that one, or set ` +
          'SERIN_DATA_DIR to another folder',
      );
    }
    await rm(file, { force: true });
  }
}

export async function releaseLock(root: string): Promise<void> {
  await rm(join(root, LOCK), { force: true });
}

/** The living process that holds a folder. */
async function holderOf(root: string): Promise<number | null> {
  const [pid, startTime] = (await readFile(join(root, LOCK), 'utf8').catch(() => '')).split(' ');
  const holder = Number(pid);
  return holder > 0 && isAlive(holder) && startTimeOf(holder) === startTime ? holder : null;
}

/** The address of the database that a running Serin has started in a folder; null when none runs there. */
export async function findRunningDatabase(dataDir: string): Promise<string | null> {
  const root = resolve(dataDir);
  if ((await holderOf(root)) === null) return null;
  const password = (await readFile(join(root, 'postgres.password'), 'utf8')).trim();
  const port = (await readFile(join(root, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[3];
  return databaseAddress(password, Number(port));
}

/** Where Serin's own PostgreSQL is spoken to. */
export const databaseAddress = (password: string, port: number) =>
  `postgres://serin:${password}@127.0.0.1:${port}/postgres`;

function explainFolder(error: unknown, root: string): Error {
  return new Error(`The data folder ${root} cannot be written: set SERIN_DATA_DIR to one that can`, {
    cause: error,
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

/** Tells a process from a later one with the same id; empty where the system does not say. */
function startTimeOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields[19] ?? '';
  } catch {
    return '';
  }
}
