/**
 * Bulk statements: any number of rows travel as one JSON parameter, so that the text of a statement is always the same
 * and stays prepared. The lists of columns and their types come from Drizzle's tables.
 */
import { getTableColumns, getTableName, type SQL, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';

type Keys<T extends PgTable> = keyof T['$inferInsert'] & string;
type Rows<T extends PgTable, K extends Keys<T>> = readonly Pick<T['$inferInsert'], K>[];

/**
 * `insert into … select … from rows as r`. An `order by r."key"` or an `on conflict` may follow.
 * @param derived columns whose values follow from the row: SQL expressions in terms of `r`
 */
export function bulkInsert<T extends PgTable, K extends Keys<T>>(
  table: T,
  keys: readonly K[],
  derived: Readonly<Record<string, string>> = {},
) {
  const columns = columnsOf(table, keys);
  const names = [...columns.map(({ name }) => name), ...Object.keys(derived).map(quoted)].join(', ');
  const values = [...columns.map(({ key }) => `r.${key}`), ...Object.values(derived)].join(', ');
  const head = `insert into ${quoted(getTableName(table))} (${names}) select ${values} from `;
  return (rows: Rows<T, K>): SQL => sql`${sql.raw(head)}${recordset(columns, rows)}`;
}

/**
 * `update … set … from rows as r where table.by = r.by`. More conditions may follow after `and`.
 * @param by the column that identifies a row
 * @param also further assignments, the same for every row
 */
export function bulkUpdate<T extends PgTable, B extends Keys<T>, K extends Keys<T>>(
  table: T,
  by: B,
  keys: readonly K[],
  also: readonly string[] = [],
) {
  const columns = columnsOf(table, keys);
  const [identity] = columnsOf(table, [by]);
  if (!identity) throw new Error('a bulk update needs a column that identifies a row');
  const name = quoted(getTableName(table));
  const assignments = [...columns.map((column) => `${column.name} = r.${column.key}`), ...also].join(', ');
  const head = `update ${name} set ${assignments} from `;
  const tail = ` where ${name}.${identity.name} = r.${identity.key}`;
  return (rows: Rows<T, B | K>): SQL =>
    sql`${sql.raw(head)}${recordset([identity, ...columns], rows)}${sql.raw(tail)}`;
}

interface BulkColumn {
  /** The property of a row, quoted. */
  readonly key: string;
  /** The column, quoted. */
  readonly name: string;
  readonly type: string;
}

function columnsOf(table: PgTable, keys: readonly string[]): BulkColumn[] {
  const columns = getTableColumns(table);
  return keys.map((key) => {
    const column = columns[key];
    if (!column) throw new Error(`${getTableName(table)} has no column ${key}`);
    return { key: quoted(key), name: quoted(column.name), type: column.getSQLType() };
  });
}

/**
 * PostgreSQL expects a hundred rows of JSON, and of a limit that it cannot see a tenth. With two limits it expects one row:
 * it looks rows up by index, and keeps its plan. For ten it would plan each time, because one row is cheaper.
 */
function recordset(columns: readonly BulkColumn[], rows: readonly object[]): SQL {
  const definition = columns.map(({ key, type }) => `${key} ${type}`).join(', ');
  const set = sql`jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r (${sql.raw(definition)})`;
  return sql`(select * from (select * from ${set} limit ${rows.length}) as rows limit ${rows.length}) as r`;
}

const quoted = (name: string) => `"${name}"`;
