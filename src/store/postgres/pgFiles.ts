/** The files that libpq reads: passwords (`~/.pgpass`) and services (`~/.pg_service.conf`). */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** One server that may answer: an address, or the folder of a Unix socket. */
export interface Host {
  readonly host: string;
  readonly port: number;
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/**
 * The password of the first line that fits: `host:port:database:user:password`, `*` for any. A file that others may read
 * is passed over, as libpq does.
 */
export function passwordFromFile(
  file: string | null,
  hosts: readonly Host[],
  database: string,
  user: string,
): string | null {
  const path = file ?? join(homedir(), '.pgpass');
  const text = textOf(path);
  if (text === null || (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)) return null;
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    const [host, port, name, role, password] = splitFields(line);
    if (password === undefined) continue;
    const fits = (pattern: string | undefined, value: string) => pattern === '*' || pattern === value;
    const here = hosts.some((at) => fits(host, at.host) && fits(port, String(at.port)));
    if (here && fits(name, database) && fits(role, user)) return password;
  }
  return null;
}

/** Fields are separated by colons; a backslash keeps a colon or a backslash. */
function splitFields(line: string): string[] {
  const fields = [''];
  for (const [, escaped, plain] of line.matchAll(/\\(.)|([\s\S])/g)) {
    if (plain === ':' && fields.length < 5) fields.push('');
    else fields[fields.length - 1] += escaped ?? plain ?? '';
  }
  return fields;
}

/** The parameters of a service: a section of the user's file, or of the system's. */
export function readService(name: string, variables: NodeJS.ProcessEnv): Map<string, string> {
  const files = [
    variables.PGSERVICEFILE ?? join(homedir(), '.pg_service.conf'),
    join(variables.PGSYSCONFDIR ?? '/etc/postgresql-common', 'pg_service.conf'),
  ];
  for (const file of files) {
    const found = section(textOf(file) ?? '', name);
    if (found.size > 0) return found;
  }
  return new Map();
}

function section(text: string, name: string): Map<string, string> {
  const found = new Map<string, string>();
  let inside = false;
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line.startsWith('[')) inside = line === `[${name}]`;
    const setting = /^([\w-]+)\s*=\s*(.*)$/.exec(line);
    if (inside && setting?.[1]) found.set(setting[1], setting[2] ?? '');
  }
  return found;
}
