/**
 * Types of the console's operations, made from `schema.graphql` and `src/api/operations/*.graphql` before every build:
 * an operation that the API does not answer stops the build.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'graphql';

const here = import.meta.dirname;
const operations = join(here, 'src/api/operations');
const target = join(here, 'src/api/generated');

const schemaText = readFileSync(join(here, '../schema.graphql'), 'utf8');
const documents = readdirSync(operations)
  .filter((name) => name.endsWith('.graphql'))
  .map((name) => {
    const location = join(operations, name);
    const rawSDL = readFileSync(location, 'utf8');
    return { location, rawSDL, document: parse(rawSDL) };
  });

const sections = await preset.buildGeneratesSection({
  baseOutputDir: `${target}/`,
  presetConfig: { fragmentMasking: false },
  schema: parse(schemaText),
  schemaAst: buildSchema(schemaText),
  documents,
  config: {
    documentMode: 'string',
    useTypeImports: true,
    enumType: 'string-literal',
    scalars: { Decimal: 'string', DateTime: 'string', JSON: 'unknown' },
    strictScalars: true,
    avoidOptionals: false,
  },
  plugins: [],
  pluginMap: {},
});

mkdirSync(target, { recursive: true });
for (const section of sections) {
  if (!section.filename.endsWith('/graphql.ts')) continue;
  writeFileSync(section.filename, await codegen(section));
}
