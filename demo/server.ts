/** Serin as a process of its own for the demo: its database in a temporary folder, its clock running fast. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface DemoServer {
  /** `http://127.0.0.1:4000`, or another port when that one is taken. */
  readonly url: string;
  /** Stops it and removes its folder. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** @param timeScale seconds of Serin's time in a real one */
export async function startServer(timeScale: number): Promise<DemoServer> {
  const folder = await mkdtemp(join(tmpdir(), 'serin-demo-'));
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env.PATH,
      HOST: '127.0.0.1',
      PORT: (await isFree(4000)) ? '4000' : '0',
      SERIN_DATA_DIR: folder,
      SERIN_TIME_SCALE: String(timeScale),
      // The demo receives webhooks itself.
      SERIN_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8',
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A Ctrl-C is for the demo, which stops the server after its own feeds.
    detached: true,
  });
  child.stderr.pipe(createWriteStream(join(folder, 'serin.log')));
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  process.once('exit', () => child.kill('SIGTERM'));
  const url = await Promise.race([listening(child.stdout), exited.then(() => null)]);
  if (url) return { url, stop };
  throw new Error(`Serin did not start; ${join(folder, 'serin.log')} says why`);
}

async function listening(output: NodeJS.ReadableStream): Promise<string | null> {
  for await (const line of createInterface({ input: output })) {
    const found = /listening on (http:\/\/\S+)/.exec(line);
    if (found?.[1]) return found[1];
  }
  return null;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const probe = createServer()
      .once('error', () => answer(false))
      .listen(port, '127.0.0.1', () => probe.close(() => answer(true)));
  });
}
