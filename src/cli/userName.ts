/** The name of who types a command, for a server that does not know its callers. */
import { userInfo } from 'node:os';

/** What no header can hold, and what the server would not take. */
const FOREIGN = /[^\w.@-]/g;
const MAX_LENGTH = 90;

/** `cli:ada`. A user without a name, as in a container that runs under any number, is `cli:uid-12345`. */
export function userName(): string {
  const name = accountName().normalize('NFKD').replace(FOREIGN, '').slice(0, MAX_LENGTH);
  return `cli:${name || `uid-${process.getuid?.() ?? 'unknown'}`}`;
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
