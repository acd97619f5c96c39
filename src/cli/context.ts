/** What each command works with: the client of the Serin that was named, and the terminal. */
import type { Command } from 'commander';
import { connectSerin, type SerinClient } from '../client/index.ts';
import { usage } from './exitCodes.ts';
import { createTerminal, type Terminal } from './terminal.ts';
import { userName } from './userName.ts';

export interface Context {
  readonly serin: SerinClient;
  readonly terminal: Terminal;
}

interface GlobalOptions {
  readonly url?: string;
  readonly key?: string;
  readonly json?: boolean;
}

const DEFAULT_URL = 'http://127.0.0.1:4000';
/** A person waits: a node that restarts is waited for, an address without a Serin is named soon. */
const RETRY_FOR_MS = 5000;

/** A replay takes seconds, on a busy server more. */
export const LONG_MS = 120_000;

/**
 * Reads the options of a command and of those above it.
 * @param timeoutMs milliseconds that one request may take
 */
export function contextOf(command: Command, timeoutMs?: number): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  const url = options.url ?? process.env.SERIN_URL ?? DEFAULT_URL;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw usage(`--url must be http://HOST:PORT or https://HOST:PORT, got ${JSON.stringify(url)}`);
  }
  const key = options.key ?? process.env.SERIN_KEY;
  return {
    serin: connectSerin({
      url,
      key: key || undefined,
      actor: userName(),
      retryForMs: RETRY_FOR_MS,
      timeoutMs,
    }),
    terminal: createTerminal(options.json === true),
  };
}
