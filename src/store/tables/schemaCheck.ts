/**
 * Compares the tables of the database with what this version needs. A dropped index or constraint
 * stops nothing at first: queries become slow, or a rule that the database should enforce no longer holds.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { is, sql } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import type { Queries } from '../postgres/database.ts';
import { MIGRATIONS_FOLDER } from '../postgres/migrator.ts';
import * as archiveTables from './archiveTables.ts';
import * as auditTables from './auditTables.ts';
import * as safetyTables from './safetyTables.ts';
import * as tables from './tables.ts';
import * as webhookTables from './webhookTables.ts';

type Kind = 'table' | 'column' | 'index' | 'constraint';

/** An object of the catalog with its properties. */
interface Found extends Record<string, unknown> {
  readonly kind: Kind;
  /** The name; of a column `table.column`. */
  readonly name: string;
  /** False for an index that was not built completely, and for a constraint that existing rows may violate. */
  readonly valid: boolean;
  /** Of an index: whether it is unique. Of a column: whether it refuses null. */
  readonly strict: boolean;
}

interface Needed {
  readonly kind: Kind;
  readonly name: string;
  readonly strict: boolean;
}

/** Every table, column, index and constraint of this version. */
function neededObjects(): Needed[] {
  const all = Object.values({
    ...tables,
    ...webhookTables,
    ...archiveTables,
    ...auditTables,
    ...safetyTables,
  }).filter((value) => is(value, PgTable));
  return all.flatMap((table): Needed[] => {
    const { name, columns, indexes, checks, foreignKeys, uniqueConstraints, primaryKeys } =
      getTableConfig(table);
    const constraints = [
      ...checks.map((check) => check.name),
      ...foreignKeys.map((key) => key.getName()),
      ...uniqueConstraints.map((unique) => unique.getName() ?? ''),
      ...primaryKeys.map((key) => key.getName()),
      // PostgreSQL's own names.
      ...columns.filter(({ primary }) => primary).map(() => `${name}_pkey`),
      ...columns.filter(({ isUnique }) => isUnique).map(({ uniqueName }) => uniqueName ?? ''),
    ];
    return [
      { kind: 'table', name, strict: false },
      ...columns.map((column): Needed => {
        return { kind: 'column', name: `${name}.${column.name}`, strict: column.notNull };
      }),
      ...indexes.map(({ config }): Needed => {
        return { kind: 'index', name: config.name ?? '', strict: config.unique };
      }),
      ...constraints.map((constraint): Needed => ({ kind: 'constraint', name: constraint, strict: false })),
    ];
  });
}

/**
 * What the database lacks of the tables of this version, one sentence per object. A later version that has migrated the
 * database may have replaced objects: the caller asks only where no such version was.
 */
export async function findSchemaDamage(db: Queries): Promise<string[]> {
  const found = await db.execute<Found>(sql`
    with own as (select oid, relname, relkind from pg_class where relnamespace = quote_ident(current_schema())::regnamespace)
    select 'table' as kind, relname as name, true as valid, false as strict from own where relkind in ('r', 'p')
    union all
    select 'column', relname || '.' || attname, true, attnotnull from own join pg_attribute on attrelid = own.oid
    where relkind in ('r', 'p') and attnum > 0 and not attisdropped
    union all
    select 'index', relname, indisvalid, indisunique from own join pg_index on indexrelid = own.oid
    union all
    select 'constraint', conname, convalidated, false from pg_constraint
    where connamespace = quote_ident(current_schema())::regnamespace`);
  const byName = new Map(found.map((one) => [`${one.kind} ${one.name}`, one]));
  const needed = neededObjects();
  const isGone = ({ kind, name }: Needed) => !byName.has(`${kind} ${name}`);
  const goneTables = new Set(
    needed.filter((one) => one.kind === 'table' && isGone(one)).map(({ name }) => name),
  );
  return needed
    .filter(({ kind, name }) => kind !== 'column' || !goneTables.has(name.split('.')[0] ?? ''))
    .flatMap((one) => describeDamage(one, byName.get(`${one.kind} ${one.name}`)) ?? []);
}

function describeDamage({ kind, name, strict }: Needed, found: Found | undefined): string | null {
  if (!found) return `the ${kind} ${name} is missing${definition(name)}`;
  if (!found.valid) {
    return kind === 'index'
      ? `the index ${name} was not built completely: reindex index concurrently ${name}`
      : `the constraint ${name} is not validated: existing rows may violate it`;
  }
  if (!strict || found.strict) return null;
  return kind === 'index'
    ? `the index ${name} is not unique${definition(name)}`
    : `the column ${name} allows null`;
}

/** Where an operator finds the statement that creates an object: the last migration that has its name. */
function definition(name: string): string {
  const files = readdirSync(MIGRATIONS_FOLDER).filter((file) => file.endsWith('.sql'));
  const defines = (file: string) => readFileSync(join(MIGRATIONS_FOLDER, file), 'utf8').includes(`"${name}"`);
  const file = files.toSorted().findLast(defines);
  return file ? ` (defined in drizzle/${file})` : '';
}
