/**
 * Prometheus itself evaluates the alert rules: each one fires when its series say so for as long as `for` asks, and not
 * before. It runs where promtool is installed (Debian: the package prometheus, see `scripts/clusterTools.sh`).
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { FIRES, type Rule, rules, type Series } from './firing.ts';

const promtool = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'promtool'))
  .find((path) => existsSync(path));

const run = promisify(execFile);
/** Minutes for which all is calm, and for which a rule is watched after it should have fired. */
const CALM_MINUTES = 30;
const AFTER_MINUTES = 10;

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440 };

/** The minutes that `for` asks for; of seconds, the next whole one. */
function minutesOf({ for: lasts = '0m' }: Rule): number {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(lasts) ?? [];
  return Math.ceil(Number(count) * (MINUTES[unit] ?? 1 / 60));
}

/** A gauge goes from its calm value to the other one; a counter begins to grow by that much every minute. */
function inputOf([name, labels, value]: Series, minutes: number): { series: string; values: string } {
  const pairs = Object.entries(labels).map(([label, of]) => `${label}="${of}"`);
  const grows = /_(total|bucket|count)$/.test(name) || name === 'serin_deployments';
  const calm = name === 'up' || name === 'serin_database_up' ? 1 : 0;
  const then = grows ? `0+${value}x${minutes}` : `${value}x${minutes}`;
  return { series: `${name}{${pairs.join(',')}}`, values: `${calm}x${CALM_MINUTES} ${then}` };
}

function unitTest(rule: Rule, series: readonly Series[]) {
  const lasts = minutesOf(rule);
  const firing = (minute: number, fires: boolean) => ({
    expr: `count(ALERTS{alertname="${rule.alert}",alertstate="firing"})`,
    eval_time: `${minute}m`,
    exp_samples: fires ? [{ labels: '{}', value: 1 }] : [],
  });
  const early = CALM_MINUTES + 1 + lasts - 2;
  return {
    interval: '1m',
    input_series: series.map((each) => inputOf(each, lasts + 2 * AFTER_MINUTES)),
    promql_expr_test: [
      firing(CALM_MINUTES, false),
      ...(lasts > 2 ? [firing(early, false)] : []),
      firing(CALM_MINUTES + lasts + AFTER_MINUTES, true),
    ],
  };
}

describe.skipIf(!promtool)('promtool', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serin-promtool-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('takes the rules', async () => {
    const { stdout } = await run(promtool ?? '', ['check', 'rules', 'ops/alerts.yml']);
    expect(stdout).toContain(`${rules.length} rules found`);
  });

  test.each(rules.map((rule) => [rule.alert, rule] as const))('%s', async (alert, rule) => {
    const series = FIRES[alert];
    if (!series) throw new Error(`nothing makes ${alert} fire`);
    const file = join(folder, `${alert}.yml`);
    await writeFile(
      file,
      stringify({ rule_files: [resolve('ops/alerts.yml')], tests: [unitTest(rule, series)] }),
    );
    const { stdout } = await run(promtool ?? '', ['test', 'rules', file]).catch((error) => error);
    expect(stdout).toContain('SUCCESS');
  });
});
