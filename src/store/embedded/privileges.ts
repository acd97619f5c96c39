/** The operating system user that the embedded PostgreSQL runs as: it refuses to run as root. */
import { existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** How to run the server's processes. If Serin runs as root they need another user. */
export interface Runner {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Adds a command prefix that lets that user pass through folders that only root may enter. */
  readonly wrap: (file: string, args: readonly string[]) => readonly [string, readonly string[]];
}

/** As root, chooses the user `postgres`, or `nobody`, because PostgreSQL refuses to run as root. Creates no user. */
export async function chooseRunner(paths: readonly string[]): Promise<Runner> {
  const plain = (file: string, args: readonly string[]) => [file, args] as const;
  if (process.getuid?.() !== 0) return { uid: undefined, gid: undefined, wrap: plain };
  const { uid, gid } = userIds(['postgres', 'nobody']);
  const inaccessible = (await Promise.all(paths.map((path) => privateFolder(path, uid, gid)))).find(Boolean);
  if (!inaccessible) return { uid, gid, wrap: plain };
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));
  if (!setpriv) {
    throw new Error(
      `PostgreSQL must not run as root, and user ${uid} may not enter ${inaccessible}: run Serin as an ordinary user, ` +
        'or move it to a folder that others may enter, or set DATABASE_URL',
    );
  }
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const pass = ['--bounding-set=-all,+dac_read_search', '--inh-caps=-all,+dac_read_search'];
  // Without the securebit the kernel ignores the capability in access(2), with which PostgreSQL looks for its own binaries.
  const keep = ['--ambient-caps=-all,+dac_read_search', '--securebits=+no_setuid_fixup'];
  return {
    uid: undefined,
    gid: undefined,
    wrap: (file, args) => [setpriv, [...drop, ...pass, ...keep, file, ...args]],
  };
}

function userIds(names: readonly string[]): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of names) {
    const fields = users.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(`PostgreSQL must not run as root, and there is no user ${names.join(' or ')} to run it as`);
}

/** The nearest parent folder of a path that the user may not enter; null if there is none. */
async function privateFolder(path: string, uid: number, gid: number): Promise<string | null> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const found = await stat(folder);
    const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
    if ((found.mode & bit) === 0) return folder;
    if (folder === dirname(folder)) return null;
  }
}

/** The user that must own new files; null if the process itself runs as that user. */
export function ownerFor(runner: Runner): { uid: number; gid: number } | null {
  const isRoot = process.getuid?.() === 0;
  return isRoot && runner.uid === undefined ? userIds(['postgres', 'nobody']) : null;
}
