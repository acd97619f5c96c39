/** The lock of a data folder. */
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { releaseLock, takeLock } from '../../src/store/embedded/dataDirLock.ts';

/** Reads the lock again and again, and counts how often it was there and empty. */
const READER = `
  const { readFileSync } = require('node:fs');
  const { parentPort, workerData } = require('node:worker_threads');
  let [seen, empty, goesOn] = [0, 0, true];
  parentPort.on('message', () => { goesOn = false; });
  const look = () => {
    for (let times = 0; times < 200; times += 1) {
      try {
        const text = readFileSync(workerData, 'utf8');
        seen += 1;
        if (text === '') empty += 1;
      } catch {}
    }
    if (goesOn) setImmediate(look);
    else parentPort.postMessage({ seen, empty });
  };
  look();`;

test('a lock is never seen before it names its holder: a second start would take it over', async () => {
  const root = await mkdtemp(join(tmpdir(), 'serin-lock-'));
  const reader = new Worker(READER, { eval: true, workerData: join(root, 'serin.pid') });
  const counted = new Promise<{ seen: number; empty: number }>((resolve) => reader.once('message', resolve));
  for (let round = 0; round < 1000; round += 1) {
    await takeLock(root);
    await releaseLock(root);
  }
  reader.postMessage('stop');
  const { seen, empty } = await counted;
  expect(seen).toBeGreaterThan(0);
  expect(empty).toBe(0);
  await reader.terminate();
  await rm(root, { recursive: true, force: true });
});

test.skipIf(process.platform !== 'linux')(
  'a lock that a full disk does not take leaves nothing behind',
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'serin-lock-'));
    // Whatever is written to it finds no space.
    await symlink('/dev/full', join(root, `serin.pid.${process.pid}`));
    await expect(takeLock(root)).rejects.toMatchObject({ cause: { code: 'ENOSPC' } });
    expect(await readdir(root)).toEqual([]);
    await rm(root, { recursive: true, force: true });
  },
);
