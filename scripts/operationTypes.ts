/**
 * Types of the operations of a front end, made from `schema.graphql` before every build: an operation that the API does
 * not answer stops the build. Each folder that is named has a `codegen.json`: where the schema and the operations
 * (`*.graphql`) are, where the types go, and the settings of GraphQL Code Generator's client preset.
 *
 *     tsx scripts/operationTypes.ts console examples/frontend
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'graphql';

interface Settings {
  readonly schema: string;
  /** The folder of the operations. */
  readonly documents: string;
  readonly target: string;
  readonly config: Record<string, unknown>;
}

for (const folder of process.argv.slice(2)) await generate(resolve(folder));

async function generate(folder: string): Promise<void> {
  const settings: Settings = JSON.parse(readFileSync(join(folder, 'codegen.json'), 'utf8'));
  const operations = join(folder, settings.documents);
  const target = join(folder, settings.target);
  const schemaText = readFileSync(join(folder, settings.schema), 'utf8');
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
    config: settings.config,
    plugins: [],
    pluginMap: {},
  });
  mkdirSync(target, { recursive: true });
  for (const section of sections) {
    if (!section.filename.endsWith('/graphql.ts')) continue;
    writeFileSync(section.filename, await codegen(section));
  }
}
