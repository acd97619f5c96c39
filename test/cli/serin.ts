/** The binary as a person or a script runs it, against a real server. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM } from '../harness/program.ts';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Long enough for the binary to start and to read what there is. */
const BETWEEN_PIECES_MS = 2000;

/** Runs a command line to its end. */
export async function serinCommand(
  url: string,
  args: readonly string[],
  more: {
    /** What is written to stdin; pieces come apart. */
    readonly input?: string | readonly Buffer[];
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', SERIN_URL: url, ...more.environment },
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    said.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.stderr += chunk;
  });
  const ended = new Promise<number | null>((done) => child.on('close', done));
  const { input = '' } = more;
  for (const piece of typeof input === 'string' ? [Buffer.from(input)] : input) {
    await new Promise((written) => child.stdin.write(piece, written));
    if (typeof input !== 'string') await sleep(BETWEEN_PIECES_MS);
  }
  child.stdin.end();
  const code = await ended;
  return { code, ...said };
}
