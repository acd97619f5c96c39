/** The log of every server that a test starts, at its most talkative: no secret that was made may be in it. */
import type { Logger } from 'pino';
import { createLog } from '../../src/server/telemetry/logger.ts';

/** API keys, signing secrets of webhooks and tokens, as they are made and sent. */
const SECRETS = [
  /serin_[0-9a-f]{12}_[\w-]{43}/,
  /whsec_[A-Za-z0-9+/]{43}=/,
  /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/,
];

export interface WatchedLog {
  readonly log: Logger;
  /** Lines with a secret in them. */
  readonly leaks: readonly string[];
  /** Warnings and errors, each a line of JSON. */
  readonly warnings: readonly string[];
}

export function createWatchedLog(databaseUrl: string): WatchedLog {
  const leaks: string[] = [];
  const warnings: string[] = [];
  const write = (line: string) => {
    if (SECRETS.some((secret) => secret.test(line))) leaks.push(line);
    if (/"level":[456]0/.test(line)) warnings.push(line);
  };
  return { log: createLog({ logLevel: 'trace', databaseUrl }, { write }), leaks, warnings };
}

/** Fails the test file whose server wrote a secret into its log. */
export function requireNoLeak({ leaks }: WatchedLog): void {
  if (leaks.length > 0) throw new Error(`a secret is in the log:\n${leaks.slice(0, 5).join('')}`);
}
