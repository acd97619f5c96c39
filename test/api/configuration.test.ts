/** The bounds are configured by the environment, each variable explained, and no secret comes into the log. */
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/environment/environment.ts';
import { LIMITS } from '../../src/environment/limits.ts';
import { startSerin } from '../../src/serin.ts';
import { createLog, createLogDestination } from '../../src/server/telemetry/logger.ts';

describe('bounds', () => {
  test.each(Object.values(LIMITS))('$variable', ({ variable, defaultValue, least, most }) => {
    const guide = readFileSync('docs/limits.md', 'utf8');
    expect(guide).toContain(`\`${variable}\``);
    expect(guide).toContain(defaultValue.toLocaleString('en'));
    for (const bad of ['many', '-1', '1.5', String(most + 1), ...(least > 0 ? [String(least - 1)] : [])]) {
      expect(() => readEnvironment({ [variable]: bad })).toThrow(
        `${variable} must be a whole number from ${least} to ${most}`,
      );
    }
    expect(Object.values(readEnvironment({ [variable]: String(most) }).http.limits)).toContain(most);
  });

  test.each([
    ['SERIN_ORIGINS', 'desk.example'],
    ['SERIN_ORIGINS', 'https://desk.example/path'],
    ['SERIN_TRUSTED_PROXIES', 'yes'],
    ['SERIN_INTROSPECTION', 'true'],
  ])('%s=%s is refused with a sentence', (variable, value) => {
    expect(() => readEnvironment({ [variable]: value })).toThrow(new RegExp(`^${variable} must be .*got`));
    expect(readFileSync('docs/limits.md', 'utf8')).toContain(variable);
  });

  test('introspection is on, except in production', () => {
    expect(readEnvironment({}).http.introspection).toBe(true);
    expect(readEnvironment({ SERIN_INTROSPECTION: 'off' }).http.introspection).toBe(false);
    expect(readEnvironment({ NODE_ENV: 'production' }).http.introspection).toBe(false);
    expect(readEnvironment({ NODE_ENV: 'production', SERIN_INTROSPECTION: 'on' }).http.introspection).toBe(
      true,
    );
  });
});

test.each([
  ['mysql://serin:hunter2@db:3306/serin', 'mysql://serin:…@db:3306/serin'],
  ['postgres://serin:hun/ter2 @db:5432/serin', 'postgres://serin:…@db:5432/serin'],
  ['postgres://serin:hun@ter:2 @db/serin', 'postgres://serin:…@db/serin'],
  ['postgresql:///serin?user=a&password=hun ter2&host=db', 'postgresql:///serin?user=a&password=…&host=db'],
])('an address of a database is refused without its password: %s', (address, shown) => {
  for (const DATABASE_URL of [address, `postgres://db/serin`]) {
    const environment =
      DATABASE_URL === address ? { DATABASE_URL } : { DATABASE_URL, SERIN_READ_URL: address };
    expect(() => readEnvironment(environment)).toThrow(`got ${JSON.stringify(shown)}`);
  }
});

test('a password with a "%" of its own is refused with what to write instead', async () => {
  const environment = readEnvironment({ DATABASE_URL: 'postgres://serin:all100%@127.0.0.1:1/serin' });
  await expect(startSerin(environment)).rejects.toThrow('a "%" that is meant as such is written "%25"');
});

describe('the log', () => {
  test('has no password, no key and no header that is one, wherever they stand', () => {
    let said = '';
    const destination = new Writable({
      write(chunk, _encoding, done) {
        said += chunk;
        done();
      },
    });
    const databaseUrl = 'postgres://serin:hunter%402secret@db:5432/serin';
    const log = createLog({ logLevel: 'trace', databaseUrl }, destination);
    log.info({ headers: { authorization: 'Bearer sk_live_12345' }, password: 'pw-in-a-field' }, 'a request');
    log.warn({ args: [`connecting to ${databaseUrl}`, 'Authorization: Bearer sk_live_67890'] });
    log.error({ error: new Error('password authentication failed for hunter@2secret') }, 'no database');
    log.error({ connectionParams: { authorization: 'sk_live_99999' }, one: { two: { token: 'tok-deep' } } });
    expect(said).toContain('password authentication failed');
    expect(said).toContain('"stack"');
    for (const secret of ['sk_live', 'hunter', 'pw-in-a-field', 'tok-deep'])
      expect(said).not.toContain(secret);
  });

  test.runIf(existsSync('/dev/full'))('on a full disk costs its lines, and not the node', async () => {
    const disk = openSync('/dev/full', 'w');
    const destination = createLogDestination(disk);
    const log = createLog({ logLevel: 'info', databaseUrl: null }, destination);
    for (const line of ['first', 'second']) {
      // An error that nobody else takes ends the process, which shows as an unhandled one here.
      const failed = once(destination, 'write').catch((error: unknown) => error);
      log.info(line);
      expect(await failed).toMatchObject({ code: 'ENOSPC' });
    }
    // What is done at the exit.
    destination.flushSync();
    closeSync(disk);
  });
});
