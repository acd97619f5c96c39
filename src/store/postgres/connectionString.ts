/**
 * `DATABASE_URL` as libpq reads it: several hosts, Unix sockets, percent-encoding, TLS, and the PG… variables for what it
 * leaves out. Hosting providers hand out what their own clients understand: a parameter that Serin does not know is
 * named in a warning and never passed on to the server, which would refuse the connection.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { type Host, passwordFromFile, readService } from './pgFiles.ts';

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

export interface TlsSettings {
  readonly mode: SslMode;
  /** Files in PEM, read at every connection; null where there is none. */
  readonly rootCert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly keyPassword: string | null;
  /** Direct TLS, as PostgreSQL 17 accepts it, without the request before it. */
  readonly direct: boolean;
}

/** Where and how to connect. */
export interface ConnectionTarget {
  readonly hosts: readonly Host[];
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: TlsSettings;
  /** Real milliseconds for one host to accept a connection. */
  readonly connectTimeoutMs: number;
  readonly applicationName: string;
  /** Settings of the session, from `options`. */
  readonly settings: Readonly<Record<string, string>>;
  /** `options` that are no settings, for the server or a proxy in front of it. */
  readonly options: string | null;
  /** Seconds after which the system asks whether the peer is still there; 0 never does. */
  readonly keepAliveSeconds: number;
  /** What a server must be to be used. */
  readonly server: 'PRIMARY' | 'STANDBY' | 'ANY';
  /** The schema named by `schema` or `currentSchema`; null for `public`. */
  readonly schema: string | null;
  /** What was understood differently, or not at all; for the log. */
  readonly warnings: readonly string[];
}

/** A connection string that cannot be used; the message is for the person who set it. */
export class BadConnectionString extends Error {}

const bad = (message: string) => new BadConnectionString(`DATABASE_URL: ${message}`);

/** The variable that stands in for a parameter. */
const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  dbname: 'PGDATABASE',
  passfile: 'PGPASSFILE',
  service: 'PGSERVICE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslnegotiation: 'PGSSLNEGOTIATION',
  channel_binding: 'PGCHANNELBINDING',
  gssencmode: 'PGGSSENCMODE',
  application_name: 'PGAPPNAME',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
};

/** Accepted without effect: Serin always does the same. */
const WITHOUT_EFFECT = new Set([
  'client_encoding',
  'fallback_application_name',
  'gsslib',
  'krbsrvname',
  'load_balance_hosts',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'sslcompression',
  'sslsni',
  'uselibpqcompat',
  'pgbouncer',
  'prepareThreshold',
  'statement_cache_size',
]);

/**
 * Reads a connection string.
 * @param variables those that stand in for what it leaves out
 * @param writes false: connections are for reading only, and may lead to a standby
 * @throws {BadConnectionString}
 */
export function readConnectionString(
  url: string,
  variables: NodeJS.ProcessEnv = {},
  writes = true,
): ConnectionTarget {
  const parts = split(url);
  const warnings: string[] = [];
  const service = parts.parameters.get('service') ?? variables.PGSERVICE;
  const fromService = service ? readService(service, variables) : new Map<string, string>();
  if (service && fromService.size === 0) throw bad(`there is no service "${service}" in the service files`);
  const asked = new Set<string>(['service']);
  const read = (name: string): string | null => {
    asked.add(name);
    const variable = VARIABLES[name];
    const given = parts.parameters.get(name) ?? fromService.get(name) ?? (variable && variables[variable]);
    return given === undefined || given === '' ? null : given;
  };
  const oneOf = <T extends string>(name: string, values: readonly T[]): T | null => {
    const given = read(name);
    const found = values.find((value) => value === given);
    if (given !== null && !found) throw refused(name, `must be one of ${values.join(', ')}, got "${given}"`);
    return found ?? null;
  };
  const wholeNumber = (name: string): number => {
    const given = read(name) ?? '0';
    if (!/^\d{1,6}$/.test(given)) throw refused(name, `must be a whole number of seconds, got "${given}"`);
    return Number(given);
  };
  /** Names the variable where it is one that stands in for the parameter. */
  const refused = (name: string, rule: string) => {
    const variable = parts.parameters.has(name) || fromService.has(name) ? null : VARIABLES[name];
    return variable ? new BadConnectionString(`${variable} ${rule}`) : bad(`${name} ${rule}`);
  };

  const user = parts.user ?? read('user') ?? accountName();
  const database = parts.database ?? read('dbname') ?? user;
  const hosts = readHosts(parts, read('hostaddr') ?? read('host'), read('port'));
  const password =
    parts.password ?? read('password') ?? passwordFromFile(read('passfile'), hosts, database, user) ?? '';
  const tls = readTls(read, oneOf);
  if (oneOf('gssencmode', ['disable', 'prefer', 'require']) === 'require') {
    throw bad('gssencmode=require cannot be met: Serin speaks TLS, and no GSSAPI');
  }
  if (
    oneOf('channel_binding', ['disable', 'prefer', 'require']) === 'require' &&
    !tls.mode.startsWith('verify')
  ) {
    warnings.push(
      'channel_binding=require is not done by the driver: use sslmode=verify-full, which proves the server by its certificate',
    );
  }
  const attributes = oneOf('target_session_attrs', [
    'any',
    'read-write',
    'read-only',
    'primary',
    'standby',
    'prefer-standby',
  ]);
  const standby = attributes === 'read-only' || attributes === 'standby';
  if (writes && standby) {
    throw bad(`target_session_attrs=${attributes} cannot be met: Serin writes`);
  }
  if (writes && attributes === 'prefer-standby') {
    warnings.push('target_session_attrs=prefer-standby is taken as read-write: Serin writes');
  }
  const { settings, rest } = readOptions(read('options'));
  if ('search_path' in settings) {
    warnings.push('search_path in options has no effect: set SERIN_DATABASE_SCHEMA');
  }
  const keepAlive = oneOf('keepalives', ['0', '1']) === '0' ? 0 : wholeNumber('keepalives_idle') || 15;
  const target: ConnectionTarget = {
    hosts,
    user,
    password,
    database,
    tls,
    connectTimeoutMs: (wholeNumber('connect_timeout') || 3) * 1000,
    applicationName: read('application_name') ?? 'serin',
    settings,
    options: rest,
    keepAliveSeconds: keepAlive,
    server: writes ? 'PRIMARY' : standby ? 'STANDBY' : 'ANY',
    schema: read('schema') ?? read('currentSchema'),
    warnings,
  };
  for (const name of parts.parameters.keys()) {
    if (asked.has(name) || WITHOUT_EFFECT.has(name)) continue;
    warnings.push(`DATABASE_URL: the parameter "${name}" is unknown and has no effect`);
  }
  return target;
}

interface Parts {
  readonly user: string | null;
  readonly password: string | null;
  readonly hosts: string;
  readonly database: string | null;
  readonly parameters: ReadonlyMap<string, string>;
}

/** By hand: `URL` knows neither several hosts nor a Unix socket as the host. */
function split(url: string): Parts {
  const match = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url);
  if (!match) throw bad('must be like postgres://user:password@host:5432/database');
  const [, authority = '', path = '', query = ''] = match;
  const at = authority.lastIndexOf('@');
  const [name, ...secret] = at < 0 ? [] : authority.slice(0, at).split(':');
  const parameters = new Map<string, string>();
  for (const pair of query.split('&').filter(Boolean)) {
    const [key = '', ...value] = pair.split('=');
    parameters.set(decoded(key), decoded(value.join('=')));
  }
  return {
    user: name ? decoded(name) : null,
    password: secret.length > 0 ? decoded(secret.join(':')) : null,
    hosts: authority.slice(at + 1),
    database: path ? decoded(path) : null,
    parameters,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('a "%" that is meant as such is written "%25"');
  }
}

function readHosts({ hosts, parameters }: Parts, fallback: string | null, ports: string | null): Host[] {
  const inUrl = parameters.has('host') || parameters.has('hostaddr') ? '' : hosts;
  const listed = (inUrl || fallback || 'localhost').split(',');
  const portList = (ports ?? '5432').split(',');
  return listed.map((entry, index) => {
    const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry);
    // What follows the colon may be a password.
    const shown = entry.replace(/:.*/s, ':…');
    if (!match) {
      throw bad(
        `"${shown}" is not a host: write host, host:port or [IPv6]:port, and a "/" or "?" in a password as "%2F" or "%3F"`,
      );
    }
    const port = Number(match[2] ?? portList[index] ?? portList.at(-1));
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw bad(`"${shown}" has no port from 1 to 65535`);
    const host = decoded(match[1] ?? '').replace(/^\[|\]$/g, '') || 'localhost';
    return { host, port };
  });
}

type Read = (name: string) => string | null;

function readTls(
  read: Read,
  oneOf: <T extends string>(name: string, values: readonly T[]) => T | null,
): TlsSettings {
  const plain = oneOf('ssl', ['true', '1', 'false', '0', 'require', 'disable', 'no-verify']);
  const rootCert = read('sslrootcert');
  const standard = (name: string) => {
    const path = join(homedir(), '.postgresql', name);
    return existsSync(path) ? path : null;
  };
  const meant = plain === null ? null : ['false', '0', 'disable'].includes(plain) ? 'disable' : 'require';
  let mode: SslMode =
    oneOf('sslmode', [...SSL_MODES, 'no-verify']) === 'no-verify'
      ? 'require'
      : (oneOf('sslmode', SSL_MODES) ?? meant ?? (rootCert === 'system' ? 'verify-full' : 'prefer'));
  const found = rootCert ?? standard('root.crt');
  // As in libpq: a root certificate means that the server's certificate is verified.
  if (mode === 'require' && found && found !== 'system' && plain !== 'no-verify') mode = 'verify-ca';
  const cert = read('sslcert') ?? standard('postgresql.crt');
  const key = read('sslkey') ?? standard('postgresql.key');
  for (const [name, path] of [
    ['sslrootcert', found],
    ['sslcert', cert],
    ['sslkey', key],
  ] as const) {
    if (path && path !== 'system' && mode !== 'disable') readPem(name, path);
  }
  return {
    mode,
    rootCert: found === 'system' ? null : found,
    cert,
    key,
    keyPassword: read('sslpassword'),
    direct: oneOf('sslnegotiation', ['postgres', 'direct']) === 'direct',
  };
}

/** A file of certificates or a key. */
export function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new BadConnectionString(`DATABASE_URL: ${name} names ${path}, which cannot be read`, {
      cause: error,
    });
  }
}

/** `-c name=value` and `--name=value` are settings; a backslash keeps a space. */
function readOptions(options: string | null): { settings: Record<string, string>; rest: string | null } {
  const settings: Record<string, string> = {};
  const joined = (options ?? '').replace(/(^|\s)-c\s+(?=\w)/g, '$1--');
  const words = joined.match(/(?:\\.|[^\s\\])+/g)?.map((word) => word.replace(/\\(.)/g, '$1')) ?? [];
  const rest: string[] = [];
  for (const word of words) {
    const setting = /^(?:--|-c)([\w.-]+)=(.*)$/s.exec(word);
    if (setting?.[1]) settings[setting[1].replaceAll('-', '_')] = setting[2] ?? '';
    else rest.push(word);
  }
  return { settings, rest: rest.length > 0 ? rest.join(' ') : null };
}

/** The account of this process, which libpq takes where an address names no user. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    throw bad('it names no user, and this process has no account whose name could be taken');
  }
}
