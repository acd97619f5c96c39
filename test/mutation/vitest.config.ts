import { defineConfig } from 'vitest/config';

/**
 * The tests that mutants of the engine run against: those of `test/core` that are quick, without a database. Left out are
 * the two that start other programs or simulate for long.
 */
export default defineConfig({
  test: {
    include: ['test/core/**/*.test.ts', 'test/app/{batcher,deploymentQueue}.test.ts'],
    exclude: ['test/core/package.test.ts', 'test/core/policySimulation.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    isolate: false,
    testTimeout: 30_000,
  },
});
