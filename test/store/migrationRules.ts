/** What a migration must not do while the service runs, found in its text. */

interface Rule {
  readonly found: RegExp;
  readonly why: string;
  /** Also on a small table. */
  readonly always?: true;
}

/** So few rows that a lock lasts milliseconds. */
const SMALL_TABLES: ReadonlySet<string> = new Set([
  'clock',
  'strategies',
  'api_keys',
  'webhooks',
  'incarnations',
  'nodes',
]);

/** On tables that exist. A table that the same migration creates is empty, and nobody else knows it. */
const ON_TABLES: readonly Rule[] = [
  {
    found: /^create (unique )?index (?!concurrently)/i,
    why: 'blocks writers: CREATE INDEX CONCURRENTLY, in a migration that begins with "-- concurrently"',
  },
  {
    found: /\badd column\b(?=.*\bdefault\b)(?!.*\bdefault (null|true|false|-?\d|'[^']*'))/i,
    why: 'a default that is not a constant rewrites the table: add the column, then set the default',
  },
  {
    found: /\badd column\b(?=.*\bnot null\b)(?!.*\bdefault\b)/i,
    why: 'NOT NULL needs a default: the version before does not write the column',
    always: true,
  },
  { found: /\balter column\b.*\b(set data )?type\b/i, why: 'rewrites the table' },
  { found: /\bset not null\b/i, why: 'reads the whole table under a lock: add a CHECK, NOT VALID' },
  {
    found: /\badd constraint\b.*\b(check|foreign key)\b(?!.*\bnot valid\b)/i,
    why: 'reads the whole table under a lock: NOT VALID, and VALIDATE CONSTRAINT in the next migration',
  },
  {
    found: /\badd (constraint \S+ )?(primary key|unique)\b(?!.*\busing index\b)/i,
    why: 'builds an index under a lock: USING INDEX',
  },
  {
    found: /^(?!alter index).*\b(drop column|rename)\b/i,
    why: 'the version before still reads it',
    always: true,
  },
  { found: /^drop (table|view|function)\b/i, why: 'the version before still reads it', always: true },
  {
    found: /^(update|delete from)\b(?!.*\bwhere\b)/i,
    why: 'changes all rows in one transaction',
    always: true,
  },
  { found: /^(lock|cluster|vacuum|reindex)\b/i, why: 'locks a table', always: true },
];

const REPEATABLE =
  /^(create (unique )?index concurrently if not exists|drop index concurrently if exists|alter table \S+ validate constraint)/i;

/** One sentence for each statement that would block others or break the version before. */
export function blockingStatements(migration: string): string[] {
  const concurrently = migration.trimStart().startsWith('-- concurrently');
  const statements = migration.split('--> statement-breakpoint').map((text) =>
    text
      .replace(/^\s*--.*$/gm, '')
      .replace(/\s+/g, ' ')
      .trim(),
  );
  // It gives way before a session in its way would be ended, so that what it may lock it locks only for a moment.
  const givesWay = /^set local lock_timeout = '500ms';?$/i.test(statements[0] ?? '');
  const created = new Set(
    statements.flatMap((text) => /^create table (?:if not exists )?(\S+)/i.exec(text)?.[1] ?? []),
  );
  return statements.filter(Boolean).flatMap((text) => {
    if (concurrently) {
      if (REPEATABLE.test(text)) return [];
      const index = /concurrently/i.test(text);
      return [
        `${text}: ${index ? 'is not repeatable: IF NOT EXISTS' : 'does not belong outside of a transaction'}`,
      ];
    }
    const target = /^(?:alter table|create (?:unique )?index \S+ on) (?:only )?(\S+)/i.exec(text)?.[1];
    if (givesWay && /^lock table \S+/i.test(text)) return [];
    const table = target?.replaceAll('"', '').toLowerCase();
    if (target && created.has(target)) return [];
    const small = table !== undefined && SMALL_TABLES.has(table);
    return ON_TABLES.filter(({ found, always }) => found.test(text) && (always || !small)).map(
      ({ why }) => `${text}: ${why}`,
    );
  });
}
