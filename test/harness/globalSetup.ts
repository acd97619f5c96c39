/** One real PostgreSQL for the whole test run, in a temporary folder, with a migrated database to clone from. */
import { rm } from 'node:fs/promises';
import postgres from 'postgres';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { makePartitions } from '../../src/store/log/partitions.ts';
import { migrateDatabase, openDatabase } from '../../src/store/postgres/database.ts';
import { databaseUrl, TEMPLATE } from './database.ts';
import { dataFolder } from './dataFolder.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await dataFolder('test');
  // Not durable, for speed: the tests of durability start servers of their own.
  const own = await startEmbeddedPostgres({ dataDir, settings: ['fsync=off', 'synchronous_commit=off'] });
  const admin = postgres(own.url, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${TEMPLATE}`);
  await admin.end();
  const template = { url: databaseUrl(own.url, TEMPLATE), poolSize: 1 };
  await migrateDatabase(template);
  // As a node does that starts: here once for all of them.
  const { db, close } = openDatabase(template);
  const { failed } = await makePartitions(db);
  if (failed[0]) throw failed[0].error;
  await close();
  project.provide('postgresUrl', own.url);
  return async () => {
    await own.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
