/** `DATABASE_URL` as libpq reads it, and as hosting providers hand it out. */
import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os, { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { readConnectionString } from '../../src/store/postgres/connectionString.ts';

const read = (rest: string, variables: NodeJS.ProcessEnv = {}) =>
  readConnectionString(`postgres://${rest}`, variables);

describe('where to connect', () => {
  test.each([
    ['ada:x@db/serin', [{ host: 'db', port: 5432 }]],
    ['ada@db:6000/serin', [{ host: 'db', port: 6000 }]],
    [
      'ada@one,two:6001,[::1]:6002/serin',
      [
        { host: 'one', port: 5432 },
        { host: 'two', port: 6001 },
        { host: '::1', port: 6002 },
      ],
    ],
    ['ada@%2Fvar%2Frun%2Fpostgresql/serin', [{ host: '/var/run/postgresql', port: 5432 }]],
    ['/serin?host=/tmp&port=6003', [{ host: '/tmp', port: 6003 }]],
    [
      'ada@one,two/serin?port=6004,6005',
      [
        { host: 'one', port: 6004 },
        { host: 'two', port: 6005 },
      ],
    ],
  ])('%s', (rest, hosts) => {
    expect(read(rest)).toMatchObject({ hosts, database: 'serin' });
  });

  test('names and passwords are percent-encoded', () => {
    expect(read('a%40b:p%3A%2F%25@db/my%20db')).toMatchObject({
      user: 'a@b',
      password: 'p:/%',
      database: 'my db',
    });
    expect(() => read('a:50%@db/x')).toThrow('a "%" that is meant as such is written "%25"');
  });

  test('variables, a service and a password file stand in for what is left out', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'serin-pg-'));
    const service = join(folder, 'services');
    await writeFile(service, '[desk]\nhost=db.desk\nuser=ada\n[other]\nhost=wrong\n');
    const passwords = join(folder, 'passwords');
    await writeFile(passwords, '# kept\nwrong:*:*:*:no\ndb.desk:5432:*:ada:se\\:cret\n');
    await chmod(passwords, 0o600);
    const variables = {
      PGSERVICEFILE: service,
      PGPASSFILE: passwords,
      PGDATABASE: 'book',
      PGSSLMODE: 'disable',
    };
    expect(read('?service=desk', variables)).toMatchObject({
      hosts: [{ host: 'db.desk', port: 5432 }],
      user: 'ada',
      password: 'se:cret',
      database: 'book',
      tls: { mode: 'disable' },
    });
    expect(() => read('?service=none', variables)).toThrow('there is no service "none"');
  });
});

describe('parameters', () => {
  test.each([
    'sslmode=prefer',
    'sslmode=disable&channel_binding=prefer',
    'gssencmode=disable',
    'keepalives=1&keepalives_idle=30',
    'application_name=desk',
    'target_session_attrs=read-write',
    'sslmode=verify-full&channel_binding=require',
    'pgbouncer=true&schema=serin',
    'connect_timeout=10&options=-c%20statement_timeout%3D5s',
  ])('%s is understood', (query) => {
    expect(read(`db/serin?${query}`).warnings).toEqual([]);
  });

  test('what is unknown is named and has no effect', () => {
    expect(read('db/serin?sslmode=disable&sparkle=1').warnings).toEqual([
      'DATABASE_URL: the parameter "sparkle" is unknown and has no effect',
    ]);
  });

  test.each([
    ['sslmode=sometimes', /sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full/],
    ['target_session_attrs=standby', /Serin writes/],
    ['connect_timeout=soon', /connect_timeout must be a whole number of seconds/],
    ['gssencmode=require', /no GSSAPI/],
    [
      'sslmode=require&sslrootcert=/nowhere/ca.pem',
      /sslrootcert names \/nowhere\/ca\.pem, which cannot be read/,
    ],
  ])('%s is refused', (query, why) => {
    expect(() => read(`db/serin?${query}`)).toThrow(why);
  });

  test.each([
    [{ PGSSLMODE: 'sometimes' }, /^PGSSLMODE must be one of/],
    [{ PGCONNECT_TIMEOUT: 'soon' }, /^PGCONNECT_TIMEOUT must be a whole number of seconds/],
  ])('%j is refused with its own name', (variables, why) => {
    expect(() => read('db/serin', variables)).toThrow(why);
  });

  test.each(['ada:hun/ter2@db/serin', 'ada:hun?ter2@db/serin', 'ada:77777/ter2@db/serin'])(
    'the refusal of %s has no part of its password',
    (rest) => {
      expect(() => read(rest)).toThrow(/^DATABASE_URL: "ada:…" (?!.*(hun|777))/);
    },
  );

  test('options are settings of the session, or go on to the server', () => {
    const { settings, options } = read(
      'db/serin?options=-c%20work_mem%3D8MB%20--geqo%3Doff%20-csearch_path%3Dx%20endpoint%3Dep-1',
    );
    expect(settings).toMatchObject({ work_mem: '8MB', geqo: 'off' });
    expect(options).toBe('endpoint=ep-1');
  });
});

test('an address without a user is refused where the process has no account', () => {
  const accounts = vi.spyOn(os, 'userInfo').mockImplementation(() => {
    throw new Error('uv_os_get_passwd returned ENOENT');
  });
  syncBuiltinESMExports();
  try {
    expect(() => readConnectionString('postgres://localhost/serin')).toThrow(
      'DATABASE_URL: it names no user, and this process has no account',
    );
  } finally {
    accounts.mockRestore();
    syncBuiltinESMExports();
  }
});
