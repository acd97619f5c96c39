/** The embedded PostgreSQL never outlives the Serin that started it. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isAlive } from '../../src/store/embedded/dataDirLock.ts';
import { until } from '../harness/serin.ts';

/** The process of a server that writes its last checkpoint. */
function checkpointerOf(data: string): number | undefined {
  return readdirSync('/proc')
    .map(Number)
    .find((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('checkpointer') &&
          parentOf(pid) === Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
        );
      } catch {
        return false;
      }
    });
}

const parentOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);

test.skipIf(!existsSync('/proc/self/stat'))(
  'a process that exits while PostgreSQL still writes its last checkpoint does not leave it behind',
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'serin-stop-'));
    await chmod(dataDir, 0o755);
    const data = join(dataDir, 'postgres');
    const program = join(import.meta.dirname, '../harness/stopInAHurry.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', program, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = new Promise((done) => child.once('exit', done));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await until(() => said.includes('runs as'), 60_000);
    const server = Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
    let checkpointer: number | undefined;
    await until(() => {
      checkpointer = checkpointerOf(data);
      return checkpointer !== undefined;
    });
    // The checkpoint takes as long as the test wants.
    process.kill(checkpointer ?? 0, 'SIGSTOP');
    child.kill('SIGTERM');
    await gone;
    await until(() => !isAlive(server), 60_000);
    expect(isAlive(server)).toBe(false);
    await rm(dataDir, { recursive: true, force: true });
  },
  150_000,
);
