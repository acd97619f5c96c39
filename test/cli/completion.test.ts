/**
 * Completion in the shells themselves: each runs in a pseudo terminal, reads the script that `serin completion` prints,
 * and a person presses Tab. A shell that this machine has not is skipped and named.
 */
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { running } from '../harness/deployment.ts';
import { PROGRAM } from '../harness/program.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

/** How each shell starts without the settings of this machine, and reads the script. */
const SHELLS = [
  { shell: 'bash', args: ['--norc', '--noprofile', '-i'], setUp: 'source <(serin completion bash)' },
  {
    shell: 'zsh',
    args: ['-f', '-i'],
    setUp: 'autoload -Uz compinit; compinit -u -D; source <(serin completion zsh)',
  },
  { shell: 'fish', args: ['--no-config', '-i'], setUp: 'serin completion fish | source' },
].map((one) => ({ ...one, isHere: spawnSync(one.shell, ['--version']).status === 0 }));

let serin: TestSerin;
let folder: string;
beforeAll(async () => {
  serin = await startTestSerin();
  await running(serin, { id: 'dep_completed' });
  folder = await mkdtemp(join(tmpdir(), 'serin-shell-'));
  const command = join(folder, 'serin');
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  await chmod(command, 0o755);
});
afterAll(async () => {
  await serin.stop();
  await rm(folder, { recursive: true, force: true });
});

for (const { shell, args, setUp, isHere } of SHELLS) {
  if (!isHere) process.stderr.write(`Completion in ${shell} is not tested: there is no ${shell} here.\n`);
  test.runIf(isHere)(
    `${shell} completes a command and the id of a deployment`,
    { timeout: 120_000 },
    async () => {
      const pty = spawn(shell, args, {
        cols: 200,
        rows: 30,
        env: {
          PATH: `${folder}:${process.env.PATH}`,
          HOME: folder,
          TERM: 'xterm',
          PS1: '> ',
          SERIN_URL: serin.url,
        },
      });
      let written = '';
      pty.onData((data) => {
        written += data;
      });
      // As a person types: the next thing when the last is on the screen, without what the shell draws around it.
      const type = async (keys: string, shown: string) => {
        written = '';
        pty.write(keys);
        await until(() => plain(written).includes(shown), 60_000);
      };
      try {
        await type(`${setUp}; echo re''ady\r`, 'ready');
        await type('serin web\t', 'serin webhooks');
        await type('\x15', '');
        await type('serin get dep_comp\t', 'serin get dep_completed');
      } catch (error) {
        throw new Error(`${shell} shows ${JSON.stringify(plain(written))}`, { cause: error });
      } finally {
        pty.kill('SIGKILL');
      }
      expect(plain(written)).toContain('dep_completed');
    },
  );
}

/** What was written, without colours, cursor movements and titles. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is told what to do by them
  return text.replace(/\x1b(?:\[[0-9;?>]*[a-zA-Z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])/g, '');
}
