import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: [
    './src/store/tables/tables.ts',
    './src/store/tables/webhookTables.ts',
    './src/store/tables/archiveTables.ts',
    './src/store/tables/auditTables.ts',
    './src/store/tables/safetyTables.ts',
  ],
  out: './drizzle',
});
