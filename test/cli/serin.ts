/** The binary as a person or a script runs it, against a real server. */
import { spawn } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildSerin } from '../faults/nodes.ts';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Builds the binary once for a test file; Node's arguments to run it. */
export async function buildBinary(name: string): Promise<readonly string[]> {
  const program = await buildSerin(`cli-${name}`);
  await copyFile('package.json', join(program, '../../package.json'));
  return [program];
}

/** Runs a command line to its end. */
export async function serinCommand(
  binary: readonly string[],
  url: string,
  args: readonly string[],
  more: { readonly input?: string; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [...binary, ...args], {
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', SERIN_URL: url, ...more.environment },
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    said.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.stderr += chunk;
  });
  child.stdin.end(more.input ?? '');
  const code = await new Promise<number | null>((done) => child.on('close', done));
  return { code, ...said };
}
