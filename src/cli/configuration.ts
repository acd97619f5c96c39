/** `serin set`: settings of a live deployment changed, what they would do shown, and a change approved. */

import type { Context } from './context.ts';
import { CommandFailed, EXIT, notFound, usage } from './exitCodes.ts';
import { type ChangeOptions, change, stepsOf } from './lifecycle.ts';
import { type Column, table } from './terminal.ts';

interface FieldChange {
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly effect: 'SAFER' | 'LOOSER' | 'FIXED';
}

export interface SetOptions extends ChangeOptions {
  readonly dryRun?: boolean | undefined;
  readonly approve?: boolean | undefined;
}

/** Changes settings given as `field=value`; with `--dry-run` it only says what that would do. */
export async function set(
  deploymentId: string,
  assignments: readonly string[],
  { dryRun = false, approve = false, ...options }: SetOptions,
  context: Context,
): Promise<void> {
  if (approve) {
    if (assignments.length > 0 || dryRun)
      throw usage('--approve takes no settings: it approves those of the open request');
    const hash = await requestedHash(deploymentId, context);
    return change('updateConfig', { deploymentId, approve: hash, ...options }, context);
  }
  if (assignments.length === 0) throw usage('give at least one setting, such as guardrails.maxLossUsd=500');
  const config = patchOf(assignments);
  if (dryRun) return preview(deploymentId, config, context);
  return change('updateConfig', { deploymentId, config, ...options }, context);
}

/** `guardrails.maxLossUsd=500 autoPromote=false` as a patch. */
function patchOf(assignments: readonly string[]): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const assignment of assignments) {
    const [, field = '', text = ''] = /^([\w.]+)=(.+)$/.exec(assignment) ?? [];
    if (!field) throw usage(`a setting must be such as guardrails.maxLossUsd=500, got ${assignment}`);
    const path = field.split('.');
    const last = path.pop() ?? '';
    let group = patch;
    for (const name of path) {
      const inner: Record<string, unknown> = { ...(group[name] ?? {}) };
      group[name] = inner;
      group = inner;
    }
    group[last] = readValue(field, text);
  }
  return patch;
}

/** A value as the API takes it: decimals as text, so that no digit is lost; statistics as numbers. */
function readValue(field: string, text: string): unknown {
  if (field === 'steps') return stepsOf(text);
  if (text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  const isWhole = /^-?\d{1,15}$/.test(text);
  return isWhole || (field.startsWith('evidence.') && text !== '' && !Number.isNaN(Number(text)))
    ? Number(text)
    : text;
}

const CHANGES = 'changes { field before after effect }';

async function requestedHash(id: string, { serin }: Context): Promise<string> {
  const { deployment } = await serin.query<{
    deployment: { configRequest: { config: { hash: string } } | null } | null;
  }>('query ($id: ID!) { deployment(id: $id) { configRequest { config { hash } } } }', { id });
  if (!deployment) throw notFound(`There is no deployment ${id} (or this key may not see it)`);
  if (!deployment.configRequest)
    throw new CommandFailed(
      `Nobody has asked for a change of ${id}: there is nothing to approve`,
      EXIT.refused,
    );
  return deployment.configRequest.config.hash;
}

async function preview(
  id: string,
  config: Record<string, unknown>,
  { serin, terminal }: Context,
): Promise<void> {
  const { deployment } = await serin.query<{
    deployment: {
      configPreview: {
        changes: readonly FieldChange[];
        approvalRequired: boolean;
        error: { code: string; message: string } | null;
      };
    } | null;
  }>(
    `query ($id: ID!, $config: CanaryConfigInput!) { deployment(id: $id) {
      configPreview(config: $config) { approvalRequired error { code message } ${CHANGES} } } }`,
    { id, config },
  );
  if (!deployment) throw notFound(`There is no deployment ${id} (or this key may not see it)`);
  const { changes, approvalRequired, error } = deployment.configPreview;
  if (terminal.json) terminal.value(deployment.configPreview);
  if (error) throw new CommandFailed(`${error.message} [${error.code}]`, EXIT.refused);
  if (terminal.json) return;
  if (changes.length === 0) return terminal.line('Nothing would change');
  const columns: readonly Column<FieldChange>[] = [
    { head: 'SETTING', of: ({ field }) => field },
    { head: 'NOW', of: ({ before }) => before ?? 'none' },
    { head: 'THEN', of: ({ after }) => after ?? 'none' },
    {
      head: 'EFFECT',
      of: ({ effect }) => effect.toLowerCase(),
      style: ({ effect }) => (effect === 'SAFER' ? 'green' : 'yellow'),
    },
  ];
  for (const line of table(changes, columns, terminal)) terminal.line(line);
  terminal.line(approvalRequired ? 'Another person must approve it' : 'It would be done at once');
}
