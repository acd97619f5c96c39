/** The commands that change a deployment: each is one mutation, carried out once however often it is sent. */
import { readFile } from 'node:fs/promises';
import { buffer as bytesOf } from 'node:stream/consumers';
import type { CommandInputs, CommandName, CommandResult, Side } from '../client/index.ts';
import type { Context } from './context.ts';
import { readDeployment } from './deployment.ts';
import { CommandFailed, EXIT, refusal, usage } from './exitCodes.ts';
import { money, readMoney, sentenceOf, words } from './words.ts';

export interface ChangeOptions {
  readonly reason?: string | undefined;
  readonly expectedRevision?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly overrideFreeze?: boolean | undefined;
}

/** Sends a command and says what came of it. */
export async function change<Name extends CommandName>(
  name: Name,
  input: CommandInputs[Name],
  context: Context,
): Promise<void> {
  report(await context.serin.command(name, input), context);
}

/** Says what came of a command; @throws {CommandFailed} with the refusal. */
function report(result: CommandResult, context: Context): void {
  if (context.terminal.json) context.terminal.value(result);
  if (!result.success) throw refusal(result);
  if (!context.terminal.json) say(result, context);
}

function say({ message, deployment, replayed }: CommandResult, { terminal }: Context): void {
  terminal.line(sentenceOf(message, replayed));
  if (!deployment) return;
  const { id, status, canaryCapitalUsd, stableCapitalUsd } = deployment;
  const capital = `canary ${money(canaryCapitalUsd)}, stable ${money(stableCapitalUsd)}`;
  terminal.line(terminal.paint('dim', `${id}  ${words(status)}  ${capital}`));
}

export interface CreateOptions {
  readonly id?: string;
  readonly stable?: string;
  readonly chain?: string;
  /** A file with a `CanaryConfigInput` as JSON; the options below stand over it. */
  readonly config?: string;
  readonly percent?: string;
  readonly minutes?: number;
  readonly check?: number;
  readonly steps?: string;
  readonly autoPromote?: boolean | undefined;
  readonly autoRollback?: boolean | undefined;
  readonly requireApproval?: boolean;
  readonly deploy?: string;
  readonly idempotencyKey?: string;
}

/** Characters of an idempotency key, as the API takes it. */
const LONGEST_KEY = 255;

export async function create(
  strategyId: string,
  canaryVersionId: string,
  options: CreateOptions,
  context: Context,
): Promise<void> {
  const deployKey = options.idempotencyKey && `${options.idempotencyKey}/deploy`;
  // Before anything is created: the second command would be refused.
  if (options.deploy !== undefined && (deployKey?.length ?? 0) > LONGEST_KEY) {
    throw usage(
      `with --deploy, --idempotency-key has at most ${LONGEST_KEY - '/deploy'.length} characters: "/deploy" is added for the second command`,
    );
  }
  const config = await configOf(options);
  const capitalUsd = options.deploy === undefined ? undefined : capitalOf(options.deploy);
  const input = {
    id: options.id,
    strategyId,
    stableVersionId: options.stable,
    canaryVersionId,
    chain: options.chain,
    config,
    idempotencyKey: options.idempotencyKey,
  };
  const created = await context.serin.command('createDeployment', input);
  // As JSON the answer is one: that of the last command.
  const isLast = capitalUsd === undefined || !created.success || !created.deployment;
  if (isLast || !context.terminal.json) report(created, context);
  if (isLast) return;
  const deploymentId = created.deployment.id;
  const deployed = await context.serin.command('deployCanary', {
    deploymentId,
    capitalUsd,
    idempotencyKey: deployKey,
  });
  if (!deployed.success) {
    context.terminal.note(
      `${deploymentId} is there, without capital: serin deploy ${deploymentId} gives it some`,
    );
  }
  report(deployed, context);
}

/** The configuration of the options, over that of the file; undefined where neither says anything. */
export async function configOf(options: CreateOptions): Promise<Record<string, unknown> | undefined> {
  const file = options.config === undefined ? {} : await readJson(options.config);
  if (typeof file !== 'object' || file === null || Array.isArray(file)) {
    throw usage(`${options.config} must hold one JSON object: a configuration`);
  }
  const given = {
    canaryPercent: options.percent,
    observationPeriodMinutes: options.minutes,
    checkIntervalSeconds: options.check,
    steps: options.steps === undefined ? undefined : stepsOf(options.steps),
    autoPromote: options.autoPromote,
    autoRollback: options.autoRollback,
    requireApproval: options.requireApproval,
  };
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  const config = { ...file, ...Object.fromEntries(named) };
  return Object.keys(config).length === 0 ? undefined : config;
}

/** `10:60,25:120m`: shares of the capital in percent and minutes; after one with an `m` a person starts the next. */
export function stepsOf(text: string): { canaryPercent: string; minutes: number; gate: string }[] {
  return text.split(',').map((part) => {
    const [, canaryPercent = '', minutes = '', manual = ''] =
      /^(\d+(?:\.\d+)?):(\d+)(m?)$/.exec(part.trim()) ?? [];
    if (!canaryPercent) throw usage(`--steps must be such as 10:60,25:120 (percent:minutes), got ${part}`);
    return { canaryPercent, minutes: Number(minutes), gate: manual ? 'MANUAL' : 'AUTO' };
  });
}

export function capitalOf(text: string, what = 'the capital'): string {
  const capitalUsd = readMoney(text);
  if (capitalUsd === null)
    throw usage(`${what} must be an amount such as 250000, $1,000,000 or 250k, got ${text}`);
  return capitalUsd;
}

export interface AcknowledgeOptions {
  readonly number?: number;
  readonly openExposure?: string;
  readonly idempotencyKey?: string;
}

/** Acknowledges the latest allocation, or the one that is named. */
export async function acknowledge(
  deploymentId: string,
  sideName: string,
  heldUsd: string,
  { number, openExposure, idempotencyKey }: AcknowledgeOptions,
  context: Context,
): Promise<void> {
  const side = sideOf(sideName);
  const held = capitalOf(heldUsd);
  const openExposureUsd = openExposure === undefined ? undefined : capitalOf(openExposure, 'the exposure');
  const open = number ?? (await readDeployment(deploymentId, context)).allocation?.number;
  if (open === undefined) throw new CommandFailed(`${deploymentId} has no allocation yet`, EXIT.refused);
  await change(
    'acknowledgeAllocation',
    { deploymentId, side, heldUsd: held, openExposureUsd, number: open, idempotencyKey },
    context,
  );
}

function sideOf(name: string): Side {
  const side = name.toUpperCase();
  if (side !== 'CANARY' && side !== 'STABLE') throw usage(`the side must be canary or stable, got ${name}`);
  return side;
}

/** As the server reads bodies: other text would be stored with replacement characters, and a byte order mark is no JSON. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** JSON from a file, or from stdin where it is `-`. */
export async function readJson(path: string): Promise<unknown> {
  let text = '';
  try {
    // Decoded as a whole: a letter may be in two pieces of stdin.
    text = utf8.decode(path === '-' ? await bytesOf(process.stdin) : await readFile(path));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usage(`${path} cannot be read: ${error instanceof TypeError ? 'it is not UTF-8' : why}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usage(`${path} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
