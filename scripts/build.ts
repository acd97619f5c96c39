/**
 * Builds `dist`, once for any number of programs that start at the same moment: the first builds, the others wait, and
 * nothing is written while what is there is of these sources. Two builds at once write files that the other just loads.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { releaseLock, takeLock } from '../src/store/embedded/dataDirLock.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
/** Beside the modules: it is no part of what is built, and of no clone. */
const LOCK_FOLDER = join(ROOT, 'node_modules', '.cache', 'serin-build');
/** Which sources `dist` was built from. */
const STAMP = join(LOCK_FOLDER, 'sources');
const SOURCES = [
  'src',
  'console',
  'schema.graphql',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/bundle.ts',
  'scripts/loadServer.ts',
];
/** Longer than a build takes on a slow machine. */
const WAIT_MS = 300_000;

/** A digest of everything that a build reads. */
function digestSources(): string {
  const hash = createHash('sha256');
  const add = (path: string): void => {
    const full = join(ROOT, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort())
        if (name !== 'node_modules' && name !== 'generated') add(join(path, name));
      return;
    }
    hash.update(`${path}\0`).update(readFileSync(full)).update('\0');
  };
  for (const source of SOURCES) add(source);
  return hash.digest('hex');
}

const isBuilt = (digest: string) =>
  existsSync(join(DIST, 'main.js')) &&
  existsSync(join(DIST, 'console')) &&
  existsSync(STAMP) &&
  readFileSync(STAMP, 'utf8') === digest;

/** Waits for another build of this clone. */
async function lock(): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    try {
      await takeLock(LOCK_FOLDER);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

const digest = digestSources();
if (!isBuilt(digest)) {
  mkdirSync(LOCK_FOLDER, { recursive: true });
  await lock();
  try {
    if (!isBuilt(digest)) {
      rmSync(STAMP, { force: true });
      const { status } = spawnSync('npm', ['run', 'build:all', '--silent'], { cwd: ROOT, stdio: 'inherit' });
      if (status !== 0) process.exitCode = status ?? 1;
      else writeFileSync(STAMP, digest);
    }
  } finally {
    await releaseLock(LOCK_FOLDER);
  }
}
