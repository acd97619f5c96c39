/**
 * Writes docs/client-reference.md from the sources of `serin/client`. It fails where something that the client exports,
 * or a member of it, has no description, and where an exported declaration names a type that is not exported. With
 * `--check` it writes nothing and fails where the file is not what the sources say.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { type Item, renderReference } from './reference.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = join(ROOT, 'docs/client-reference.md');

const folder = mkdtempSync(join(tmpdir(), 'serin-reference-'));
try {
  declare(folder);
  const { text, problems } = renderReference(
    extract(folder),
    readFileSync(join(ROOT, 'src/client/index.ts'), 'utf8'),
  );
  if (problems.length > 0) fail(problems);
  if (!process.argv.includes('--check')) writeFileSync(TARGET, text);
  else if (readFileSync(TARGET, 'utf8') !== text) {
    fail(['docs/client-reference.md is not what src/client says: npm run reference writes it anew']);
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** The declarations of the client, as the package has them. */
function declare(target: string): void {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const flags = [
    '--emitDeclarationOnly',
    '--noEmit',
    'false',
    '--declaration',
    '--sourceMap',
    'false',
    '--rootDir',
  ];
  const config = join(target, 'tsconfig.json');
  writeFileSync(
    config,
    JSON.stringify({ extends: join(ROOT, 'tsconfig.build.json'), include: [join(ROOT, 'src/client')] }),
  );
  const types = ['--typeRoots', join(ROOT, 'node_modules/@types')];
  execFileSync(
    process.execPath,
    [compiler, '-p', config, ...flags, join(ROOT, 'src/client'), '--outDir', target, ...types],
    {
      stdio: 'inherit',
    },
  );
}

/** The entry point of the model that API Extractor makes of the declarations. */
function extract(declarations: string): Item {
  const model = join(declarations, 'client.api.json');
  const silent = { logLevel: ExtractorLogLevel.None };
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(ROOT, 'package.json'),
    configObject: {
      projectFolder: declarations,
      mainEntryPointFilePath: join(declarations, 'index.d.ts'),
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2023',
            lib: ['es2023', 'dom', 'dom.asynciterable'],
            module: 'nodenext',
            allowImportingTsExtensions: true,
            noEmit: true,
            skipLibCheck: true,
            types: [],
          },
          files: ['index.d.ts'],
        },
      },
      apiReport: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      docModel: { enabled: true, apiJsonFilePath: model },
      messages: {
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          // Everything that is exported is public.
          'ae-missing-release-tag': silent,
        },
        // `@throws {TypeError}` is JSDoc's form, which editors show.
        tsdocMessageReporting: { default: silent },
      },
    },
  });
  const problems: string[] = [];
  const { succeeded } = Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      message.handled = true;
      if (message.logLevel === ExtractorLogLevel.Error) problems.push(message.text);
    },
  });
  if (!succeeded) fail(problems);
  const [entry] = (JSON.parse(readFileSync(model, 'utf8')) as { readonly members: readonly Item[] }).members;
  if (!entry) throw new Error('the model of the client has no entry point');
  return entry;
}

function fail(problems: readonly string[]): never {
  process.stderr.write(`${problems.join('\n')}\n`);
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
}
