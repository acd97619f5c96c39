/**
 * Packs `serin-core` and `serin-client` into a folder, from the build in `dist`: a program that wants the engine or a
 * client does not install a server. `npm run pack` packs these two and `serin`.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Part {
  readonly name: string;
  readonly description: string;
  /** The folder of `dist` that it is. */
  readonly folder: string;
  readonly readme: string;
}

const PARTS: readonly Part[] = [
  {
    name: 'serin-core',
    description: 'The engine of Serin: canary deployments of trading strategies inside your own program',
    folder: 'core',
    readme: 'docs/embedding.md',
  },
  {
    name: 'serin-client',
    description: 'The client of Serin for bots, feeds and front ends: Node, browsers and workers',
    folder: 'client',
    readme: 'docs/clients.md',
  },
];

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const target = resolve(process.argv[2] ?? join(ROOT, 'dist/packages'));
mkdirSync(target, { recursive: true });
for (const part of PARTS) packPart(part);

/** Everything in the build's folder, with a manifest that names what the code imports and nothing else. */
function packPart({ name, description, folder, readme }: Part): void {
  const staging = mkdtempSync(join(tmpdir(), `${name}-`));
  try {
    const code = join(staging, 'dist');
    cpSync(join(ROOT, 'dist', folder), code, {
      recursive: true,
      filter: (path) => !path.endsWith('.map'),
    });
    const described = {
      name,
      version: manifest.version,
      description,
      license: manifest.license,
      type: 'module',
      engines: manifest.engines,
      sideEffects: false,
      exports: {
        '.': { types: './dist/index.d.ts', default: './dist/index.js' },
        './package.json': './package.json',
      },
      dependencies: dependenciesOf(code),
    };
    writeFileSync(join(staging, 'package.json'), `${JSON.stringify(described, null, 2)}\n`);
    writeFileSync(join(staging, 'README.md'), readmeOf(readFileSync(join(ROOT, readme), 'utf8'), name));
    cpSync(join(ROOT, 'LICENSE'), join(staging, 'LICENSE'));
    execFileSync('npm', ['pack', '--silent', '--pack-destination', target], {
      cwd: staging,
      stdio: 'inherit',
    });
  } finally {
    rmSync(staging, { recursive: true });
  }
}

/** A document of the repository as a package shows it: under the name of the package, without links to other files. */
function readmeOf(text: string, name: string): string {
  return text
    .replaceAll(`from '${name.replace('-', '/')}'`, `from '${name}'`)
    .replaceAll(/!?\[([^\]]+)\]\((?!https?:|#)[^)]+\)/g, '$1');
}

/** The packages that the built files import, in the ranges of Serin's own manifest. */
function dependenciesOf(folder: string): Record<string, string> {
  const found = new Set<string>();
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(js|d\.ts)$/.test(path)) continue;
    for (const [, specifier = ''] of readFileSync(join(folder, path), 'utf8').matchAll(
      /(?:from|import)\s*\(?['"]([^'"]+)['"]/g,
    )) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      const words = specifier.split('/');
      found.add(words.slice(0, specifier.startsWith('@') ? 2 : 1).join('/'));
    }
  }
  return Object.fromEntries(
    [...found].sort().map((name) => {
      const range = manifest.dependencies[name];
      if (range === undefined) throw new Error(`${folder} imports ${name}, which is not a dependency`);
      return [name, range];
    }),
  );
}
