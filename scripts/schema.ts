/** Writes `schema.graphql` from the code; with `--released` also what the breaking-change check compares with. */
import { writeFileSync } from 'node:fs';
import { printedSchema } from '../src/graphql/schema.ts';

writeFileSync('schema.graphql', printedSchema());
if (process.argv.includes('--released')) writeFileSync('test/standards/released.graphql', printedSchema());
