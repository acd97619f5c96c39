import { createRequire } from 'node:module';
import { defineConfig } from 'vitest/config';

const require = createRequire(import.meta.url);

export default defineConfig({
  // One copy of graphql, the one that Node gives the packages too: `instanceof` must hold across them.
  resolve: { alias: [{ find: /^graphql$/, replacement: require.resolve('graphql') }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/globalSetup.ts'],
    pool: 'forks',
    // Tests wait for processes and databases much of their time: two workers leave a fifth of two cores idle.
    maxWorkers: 3,
    // What a file imports is the same for all, and most of a run was importing it: a worker keeps it. Tests share no state,
    // each has its own server and database.
    isolate: false,
    // Only a test that hangs takes so long, also on a machine with other work.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // `npm run test:coverage`
    coverage: { include: ['src/**/*.ts'], reporter: ['text-summary', 'html', 'json-summary'] },
  },
});
