/** What `npm publish` would ship, used as its users use it: packed, installed into fresh projects, and run there. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { readEnvironment } from '../src/environment/environment.ts';
import { launchBrowser, visit } from './console/browser.ts';
import { freshDatabase, type TestDatabase } from './harness/database.ts';
import { startTestSerin, until } from './harness/serin.ts';
import { serveFiles } from './harness/staticFiles.ts';

const VERSION = manifest.version;
const run = promisify(execFile);
const QUIET = ['--no-audit', '--no-fund', '--prefer-offline'];
const ENVIRONMENT = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', LOG_LEVEL: 'error' };

const { browser, missing } = await launchBrowser();

let folder: string;
let packed: string;
let described = '';
let warnings = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-package-'));
  packed = join(folder, 'packed');
  await mkdir(packed);
  described = (await run('npm', ['pack', '--json', '--pack-destination', packed])).stdout;
  await run(process.execPath, ['--import', 'tsx', 'scripts/packParts.ts', packed]);
  const installed = await Promise.all([
    install('server', [`serin-${VERSION}.tgz`]),
    install('parts', [`serin-core-${VERSION}.tgz`, `serin-client-${VERSION}.tgz`]),
  ]);
  warnings = installed.join('');
  // It builds, packs and installs twice: a machine that is busy with other tests takes minutes.
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A fresh project with packages installed from their tarballs. Returns what npm had to say. */
async function install(project: string, tarballs: readonly string[]): Promise<string> {
  const place = join(folder, project);
  await mkdir(place);
  await writeFile(join(place, 'package.json'), '{ "name": "fresh", "version": "1.0.0", "type": "module" }\n');
  const paths = tarballs.map((name) => join(packed, name));
  const { stderr } = await run('npm', ['install', ...QUIET, ...paths], { cwd: place });
  return stderr;
}

/** The bot of the README, as its readers save it. */
async function botOfReadme(): Promise<string> {
  const [, bot = ''] = /```ts\n(import [\s\S]*?)```/.exec(await readFile('README.md', 'utf8')) ?? [];
  return bot;
}

const STRATEGY = `export const strategy = {
  async hold(_usd: number) {},
  async trade() {},
  totals: () => ({ pnlUsd: '1', trades: 1, errors: 0, drawdown: '0' }),
};\n`;

/** Runs a program in a fresh project. Returns its stdout. */
async function node(project: string, program: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], {
    cwd: join(folder, project),
  });
  return stdout.trim();
}

test('installs without a warning about the version of Node', () => {
  expect(warnings).not.toContain('EBADENGINE');
});

test('`npm pack --json` prints JSON and nothing else', () => {
  const [serin] = JSON.parse(described);
  const files: string[] = serin.files.map(({ path }: { path: string }) => path);
  expect(files).toEqual(
    expect.arrayContaining(['bin/serin.js', 'dist/main.js', 'schema.graphql', 'LICENSE']),
  );
  expect(files.filter((path) => /^dist\/.*\.(map|cache)$/.test(path))).toEqual([]);
});

/** A receiver of webhooks: the body of the first message. */
async function receiveOne(): Promise<{ readonly url: string; readonly received: Promise<string> }> {
  const server = createServer();
  const received = once(server, 'request').then(async ([request, response]) => {
    const body = await text(request);
    response.end();
    server.close();
    return body;
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${Object(server.address()).port}/`, received };
}

describe('serin', () => {
  let database: TestDatabase;
  let server: ChildProcess | undefined;
  beforeAll(async () => {
    database = await freshDatabase();
  });
  afterAll(async () => {
    server?.kill('SIGKILL');
    await database.drop();
  });

  /** Starts the installed server and waits until it listens. */
  async function start(variables: Record<string, string> = { DATABASE_URL: database.url }) {
    const started = spawn(join(folder, 'server/node_modules/.bin/serin'), [], {
      cwd: join(folder, 'server'),
      env: {
        ...ENVIRONMENT,
        ...variables,
        PORT: '0',
        SERIN_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.1',
      },
    });
    server = started;
    let said = '';
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    }
    const address = () => /listening on (http:\/\/\S+)/.exec(said)?.[1];
    await until(() => address() !== undefined || started.exitCode !== null, 50_000);
    expect(said).toContain('listening on');
    return {
      address: address(),
      async stop() {
        const ended = once(started, 'exit');
        started.kill('SIGTERM');
        expect(await ended, said).toEqual([0, null]);
      },
    };
  }

  test('`npx serin` starts the server with all its parts, and SIGTERM ends it with 0', {
    timeout: 180_000,
  }, async () => {
    const { address, stop } = await start();
    const ask = async (query: string, variables = {}) => {
      const response = await fetch(`${address}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      return response.json();
    };
    expect(await ask('{ viewer { role } }')).toEqual({ data: { viewer: { role: 'ADMIN' } } });
    // What is found by its path, or loaded when it is needed first.
    expect(await (await fetch(`${address}/`)).text()).toContain('<script');
    // The thread of simulations starts with the first question: a busy machine does not answer that one in time.
    await until(async () => {
      const { data, errors } = await ask('{ simulatePolicy(assumptions: { runs: 10 }) { complete } }');
      if (errors) expect(errors[0].extensions.code).toBe('TOO_COMPLEX');
      return data?.simulatePolicy?.complete === true;
    }, 50_000);
    const receiver = await receiveOne();
    await ask('mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success } }', {
      input: { url: receiver.url },
    });
    await ask('mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) { success } }', {
      input: {
        id: 'dep_packed',
        strategyId: 'packed',
        stableVersionId: 'v1',
        canaryVersionId: 'v2',
        chain: 'x',
      },
    });
    expect(await receiver.received).toContain('dep_packed');
    await stop();
  });

  test('a start leaves a code cache, and the next one replaces it where it is damaged', {
    timeout: 180_000,
  }, async () => {
    const place = join(folder, 'server/node_modules/serin/dist/bundle/js');
    const caches = (await readdir(place)).filter((name) => name.endsWith('.cache'));
    expect(caches).toHaveLength(1);
    const cache = join(place, caches[0] ?? '');
    const written = await readFile(cache);
    for (const damaged of [Buffer.alloc(0), written.subarray(0, 1000), Buffer.from(written).fill(0, 1000)]) {
      await writeFile(cache, damaged);
      const { stop } = await start();
      await stop();
      expect((await readFile(cache)).equals(damaged)).toBe(false);
    }
    // From the cache, with packages that lie outside of the bundle.
    const { address, stop } = await start({});
    const graphiql = await fetch(`${address}/graphql/graphiql.js`);
    expect(graphiql.headers.get('content-type')).toContain('javascript');
    expect(await graphiql.text()).toContain('renderYogaGraphiQL');
    await stop();
  });

  test('exports the engine, the client, the schema and its manifest', async () => {
    const said = await node(
      'server',
      `import { CanaryDeployment, parseDecimal } from 'serin/core';
       import { followFeed } from 'serin/client';
       import { readFileSync } from 'node:fs';
       import { createRequire } from 'node:module';
       const require = createRequire(import.meta.resolve('serin/package.json'));
       const schema = readFileSync(new URL(import.meta.resolve('serin/schema.graphql')), 'utf8');
       const kinds = [typeof CanaryDeployment, typeof parseDecimal, typeof followFeed];
       console.log(...kinds, require('serin/package.json').version, schema.includes('type Mutation'));`,
    );
    expect(said).toBe(`function function function ${VERSION} true`);
  });

  test('carries the PostgreSQL driver with its patch', async () => {
    const driver = join(folder, 'server/node_modules/serin/node_modules/postgres/src/index.js');
    expect(await readFile(driver, 'utf8')).toContain('lost = null');
  });
});

describe('serin-core and serin-client', () => {
  test('bring only what they import', async () => {
    const { stdout } = await run('npm', ['ls', '--all', '--parseable'], { cwd: join(folder, 'parts') });
    const names = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((path) => path.split('node_modules/').at(-1));
    expect(names.sort()).toEqual([
      'croner',
      'decimal.js',
      'graphql',
      'graphql-ws',
      'pure-rand',
      'serin-client',
      'serin-core',
      'zod',
    ]);
  });

  test('the client needs nothing of Node', async () => {
    const place = join(folder, 'parts/node_modules/serin-client/dist');
    for (const name of await readdir(place)) {
      expect(await readFile(join(place, name), 'utf8'), name).not.toMatch(/['"]node:|NodeJS\.|\bBuffer\b/);
    }
  });

  test('run in plain JavaScript', async () => {
    const said = await node(
      'parts',
      `import { CanaryDeployment } from 'serin-core';
       import { followFeed, FeedRefused } from 'serin-client';
       console.log(typeof CanaryDeployment, typeof followFeed, FeedRefused.name);`,
    );
    expect(said).toBe('function function FeedRefused');
  });

  test('have types for strict TypeScript', { timeout: 180_000 }, async () => {
    const place = join(folder, 'parts');
    await writeFile(
      join(place, 'use.ts'),
      `import { CanaryDeployment } from 'serin-core';
       import { connectSerin, type DeploymentSide, type FollowOptions, followFeed } from 'serin-client';
       export const side: Promise<DeploymentSide> = connectSerin({ url: 'http://a' }).side('dep_1', 'CANARY');
       const options: FollowOptions = { url: 'ws://127.0.0.1:4000/graphql', query: 'subscription { a }' };
       export const feed: AsyncGenerator<{ cursor: string }> = followFeed<{ cursor: string }>(options);
       export const kind: Function = CanaryDeployment;\n`,
    );
    await writeFile(join(place, 'bot.ts'), await botOfReadme());
    await writeFile(join(place, 'strategy.ts'), STRATEGY);
    const strict = ['--strict', '--noEmit', '--target', 'es2023', '--module', 'nodenext'];
    const options = [...strict, '--allowImportingTsExtensions', '--lib', 'es2023,dom'];
    const tsc = resolve('node_modules/.bin/tsc');
    await run(tsc, [...options, '--types', '', 'use.ts'], { cwd: place });
    const node = ['--types', 'node', '--typeRoots', resolve('node_modules/@types')];
    await run(tsc, [...options, ...node, 'bot.ts'], { cwd: place });
  });
});

test.skipIf(browser === null)(
  `the client in a bundle of Vite reads, commands and follows from a page, and is a bot in a worker ${missing ?? ''}`,
  { timeout: 120_000 },
  async () => {
    if (!browser) throw new Error('no browser');
    const place = join(folder, 'parts');
    const elements = '<p></p><output></output>';
    await writeFile(
      join(place, 'index.html'),
      `<script type="module" src="./page.js"></script>${elements}\n`,
    );
    await writeFile(
      join(place, 'worker.js'),
      `import { connectSerin } from 'serin-client';
       onmessage = async ({ data }) => {
         const serin = connectSerin({ url: data.url });
         const side = await serin.side(data.id, 'CANARY');
         for await (const allocation of side.allocations()) {
           const { success } = await allocation.acknowledge();
           const report = await side.report({ pnlUsd: '1', trades: 1 });
           postMessage('holds ' + allocation.capitalUsd + ' ' + success + ' ' + report.success);
         }
         postMessage('ended ' + side.ended);
       };\n`,
    );
    await writeFile(
      join(place, 'page.js'),
      `import { connectSerin } from 'serin-client';
       const url = new URLSearchParams(location.search).get('serin');
       const serin = connectSerin({ url });
       const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
       worker.onmessage = ({ data }) => { document.querySelector('output').textContent = data; };
       const created = await serin.command('createDeployment', {
         strategyId: 'bundled', stableVersionId: 'v1', canaryVersionId: 'v2' });
       const query = 'subscription ($after: String) { eventAppended(after: $after) { cursor type } }';
       for await (const { type } of serin.follow({ query, after: '0' })) {
         const { status } = await serin.deployment(created.deployment.id);
         document.querySelector('p').textContent = type + ' ' + status;
         break;
       }
       const { id } = created.deployment;
       await serin.command('deployCanary', { deploymentId: id, capitalUsd: 1000 });
       worker.postMessage({ url, id });
       document.onclick = () => serin.command('rollbackCanary', { deploymentId: id });\n`,
    );
    await build({
      root: place,
      logLevel: 'error',
      build: { outDir: join(folder, 'bundle'), target: 'es2022' },
      worker: { format: 'es' },
    });
    const script = await bundleOf(join(folder, 'bundle/assets'));
    const size = {
      minified: script.length,
      gzip: gzipSync(script).length,
      brotli: brotliCompressSync(script).length,
    };
    process.stdout.write(`serin-client in a bundle of Vite: ${JSON.stringify(size)} bytes\n`);
    expect(size.gzip).toBeLessThan(40_000);
    const pages = await serveFiles(join(folder, 'bundle'));
    const { http } = readEnvironment({});
    const serin = await startTestSerin({ http: { ...http, origins: [pages.url] } });
    const { page, complaints, close } = await visit(browser, `${pages.url}/?serin=${serin.url}`);
    try {
      await page.getByText('DEPLOYMENT_CREATED PENDING').waitFor();
      await page.getByText('holds 100 true true').waitFor();
      await page.locator('p').click();
      await page.getByText('ended true').waitFor();
      expect(complaints).toEqual([]);
    } finally {
      await close();
      await serin.stop();
      await pages.stop();
    }
  },
);

/** The script of the page; that of the worker has the client once more. */
async function bundleOf(assets: string): Promise<Buffer> {
  const names = (await readdir(assets)).filter((name) => /^index.*\.js$/.test(name));
  return Buffer.concat(await Promise.all(names.map((name) => readFile(join(assets, name)))));
}

test('an install without scripts is refused with what to do, not run on the unpatched driver', {
  timeout: 180_000,
}, async () => {
  const clone = join(folder, 'clone');
  await mkdir(join(clone, 'node_modules/postgres'), { recursive: true });
  for (const part of ['package.json', 'src', 'drizzle', 'tsconfig.json']) {
    await cp(part, join(clone, part), { recursive: true });
  }
  for (const name of await installedPackages()) {
    if (name !== 'postgres') await symlink(resolve('node_modules', name), join(clone, 'node_modules', name));
  }
  await cp('node_modules/postgres', join(clone, 'node_modules/postgres'), { recursive: true });
  const patch = resolve('patches/postgres+3.4.9.patch');
  await run('git', ['apply', '--reverse', patch], { cwd: clone });
  const started = run(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: clone,
    env: { ...ENVIRONMENT, DATABASE_URL: 'postgres://localhost:1/none', PORT: '0' },
  });
  await expect(started).rejects.toMatchObject({ stderr: expect.stringContaining('npx patch-package') });
});

async function installedPackages(): Promise<string[]> {
  const { stdout } = await run('ls', ['-A', 'node_modules']);
  return stdout.trim().split('\n');
}
