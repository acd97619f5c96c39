import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/store/schema.ts', './src/store/webhookTables.ts', './src/store/archiveTables.ts'],
  out: './drizzle',
});
