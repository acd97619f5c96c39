/** The database for commands that use it directly: the one of `DATABASE_URL`, or the one in the data folder. */
import { resolve } from 'node:path';
import { readEnvironment } from '../environment/environment.ts';
import { findRunningDatabase } from '../store/embedded/dataDirLock.ts';
import { startEmbeddedPostgres } from '../store/embedded/embeddedPostgres.ts';
import {
  type Database,
  migrateDatabase,
  openDatabase,
  readMigrationState,
} from '../store/postgres/database.ts';

/** The database that Serin would use, for a person: its address without a password, or the data folder. */
export function describeLocalDatabase(variables: NodeJS.ProcessEnv): string {
  const { databaseUrl, dataDir } = readEnvironment(variables);
  if (databaseUrl === null) return `the data folder ${resolve(dataDir)}`;
  // An address may name several hosts, which is no URL.
  if (!URL.canParse(databaseUrl)) return 'the database of DATABASE_URL';
  const { host, pathname } = new URL(databaseUrl);
  return `the database ${host}${pathname}`;
}

/**
 * Opens the database that Serin would use, and starts it for the time of the work if it does not run.
 * @param migrate whether to migrate it first; if not, the work is refused where tables are missing
 */
export async function withLocalDatabase<Result>(
  variables: NodeJS.ProcessEnv,
  { migrate }: { readonly migrate: boolean },
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  const { databaseUrl, databaseSchema: schema, dataDir } = readEnvironment(variables);
  const running = databaseUrl === null ? await findRunningDatabase(dataDir) : null;
  const own = databaseUrl === null && running === null ? await startEmbeddedPostgres({ dataDir }) : null;
  try {
    const options =
      databaseUrl === null ? { url: running ?? own?.url ?? '' } : { url: databaseUrl, schema, variables };
    if (migrate) await migrateDatabase(options);
    const database = openDatabase({ ...options, poolSize: 1 });
    try {
      if (!migrate && (await readMigrationState(database.db, database.schema)) === 'missing') {
        throw new Error(
          'the tables of the database are missing or older than this version: start Serin first',
        );
      }
      return await work(database);
    } finally {
      await database.close();
    }
  } finally {
    await own?.stop();
  }
}
