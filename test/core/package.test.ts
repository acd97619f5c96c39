/** The engine as an installed package: what `npm pack` would ship, imported by plain JavaScript and by TypeScript. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { PROGRAM } from '../harness/program.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const PATIENCE_MS = 120_000;

let consumer = '';

/** A program of its own that has installed Serin and what its engine depends on. */
beforeAll(async () => {
  consumer = await mkdtemp(join(tmpdir(), 'serin-consumer-'));
  const installed = join(consumer, 'node_modules/serin');
  await mkdir(installed, { recursive: true });
  await cp(dirname(PROGRAM), join(installed, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(installed, 'package.json'));
  for (const name of [...(await dependencies()), '@types/node', 'undici-types']) {
    const link = join(consumer, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', name), link);
  }
  await writeFile(join(consumer, 'package.json'), '{ "type": "module" }');
}, PATIENCE_MS);
afterAll(() => rm(consumer, { recursive: true, force: true }));

/** What an installation would bring along. */
async function dependencies(): Promise<string[]> {
  const manifest = z.object({ dependencies: z.record(z.string(), z.string()) });
  const text = await readFile(join(root, 'package.json'), 'utf8');
  return Object.keys(manifest.parse(JSON.parse(text)).dependencies);
}

async function blocks(language: string): Promise<string[]> {
  const page = await readFile(join(root, 'docs/embedding.md'), 'utf8');
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, body = '']) => body,
  );
}

test(
  'the example of the docs runs as it is and prints what the docs say',
  async () => {
    const [example = ''] = await blocks('js');
    const [printed] = await blocks('text');
    await writeFile(join(consumer, 'example.js'), example);
    const { stdout, stderr } = await run(process.execPath, ['example.js'], { cwd: consumer });
    expect(stderr).toBe('');
    expect(stdout).toBe(printed);
  },
  PATIENCE_MS,
);

test(
  'its types are whole, and say no to a setting that does not exist',
  async () => {
    const program = `
      import { CanaryDeployment, type GivenReport } from 'serin/core';
      const names = { strategyId: 's', stableVersionId: 'v1', canaryVersionId: 'v2' };
      const report: GivenReport = { pnlUsd: '1.5', trades: 3 };
      const canary = new CanaryDeployment({ ...names, config: { promotionCriteria: { minPnlRatio: 0.8 } } });
      const ratio: string | undefined = canary.updateCanaryMetrics(report).comparison?.pnlRatio?.toFixed();
      // @ts-expect-error there is no such setting
      new CanaryDeployment({ ...names, config: { canaryPercents: 10 } });
      console.log(ratio);`;
    await writeFile(join(consumer, 'program.ts'), program);
    const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext'];
    const lib = ['--target', 'es2023', '--lib', 'es2023', '--types', 'node'];
    const { stdout } = await run(process.execPath, [tsc, ...strict, ...lib, 'program.ts'], { cwd: consumer });
    expect(stdout).toBe('');
  },
  PATIENCE_MS,
);
