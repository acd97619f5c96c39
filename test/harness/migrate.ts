/** Migrates the database of an address, as a starting node does, in a process that a test can kill. */
import { migrateDatabase } from '../../src/store/postgres/database.ts';

const write = (line: string) => process.stdout.write(`${line}\n`);
await migrateDatabase({ url: process.argv[2] ?? '' }, { info: write, warn: write });
write('migrated');
