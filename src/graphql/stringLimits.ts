/**
 * Limits of strings: every argument and input field of type String or ID has a maximum length, which its column and index
 * can hold, and the empty string is never a value: optional remarks count as omitted, other fields refuse it. The fields are
 * found by walking the schema, so that a new one cannot be forgotten.
 */
import {
  defaultFieldResolver,
  type GraphQLArgument,
  type GraphQLError,
  GraphQLID,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLSchema,
  GraphQLString,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import type { Context } from './builder.ts';
import { badInput } from './paging.ts';

/** Ids and names. */
const MAX_LENGTH = 200;

/** Inputs that the engine checks itself are cut off where no answer of it could make sense any more. */
const MAX_UNCHECKED = 10_000;

/** Fields that hold more than a name. A cursor contains a name, encoded. */
const MAX_LENGTHS: Readonly<Record<string, number>> = {
  after: 2000,
  before: 2000,
  description: 2000,
  reason: 2000,
};

/** Optional remarks: a form sends the empty string where nothing was entered. */
const EMPTY_IS_OMITTED: ReadonlySet<string> = new Set(['description', 'reason']);

/** Inputs that the engine checks itself: it refuses them with INVALID_INPUT in the result, item by item in a batch. */
const CHECKED_BY_ENGINE: ReadonlySet<string> = new Set([
  'CanaryConfigInput.metricsProvider',
  'CreateApiKeyInput.name',
  'CreateApiKeyInput.person',
  'CreateApiKeyInput.strategies',
  'CreateDeploymentInput.canaryVersionId',
  'CreateDeploymentInput.chain',
  'CreateDeploymentInput.id',
  'CreateDeploymentInput.stableVersionId',
  'CreateDeploymentInput.strategyId',
  'CreateWebhookInput.url',
  'MetricsReportInput.session',
  'TradeInput.error',
  'TradeInput.id',
  'TradeInput.signalId',
  'TradingHoursInput.closed',
  'TradingHoursInput.timeZone',
  'TradingSessionInput.close',
  'TradingSessionInput.dates',
  'TradingSessionInput.open',
  'UpdateMetricsInput.session',
  'UpdateWebhookInput.url',
]);

/** Throws BAD_USER_INPUT for the first string outside of its limits. */
type Check = (value: unknown, path: readonly string[]) => void;

/** Adds the checks to every field with arguments. */
export function withStringLimits(schema: GraphQLSchema): GraphQLSchema {
  const compile = createCompiler();
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const checks = field.args.map((argument) => checkOf(argument, `${type.name}.${field.name}`, compile));
      const needed = checks.filter((check) => check !== null);
      if (needed.length === 0) continue;
      const checkAll = (args: unknown) => {
        for (const check of needed) check(args, []);
      };
      const { subscribe, resolve = defaultFieldResolver } = field;
      if (subscribe) {
        field.subscribe = (root: unknown, args, context: Context, info) => {
          checkAll(args);
          return subscribe(root, args, context, info);
        };
      } else {
        field.resolve = (root: unknown, args, context: Context, info) => {
          checkAll(args);
          return resolve(root, args, context, info);
        };
      }
    }
  }
  return schema;
}

type Compile = (type: GraphQLInputType, maxLength: number) => Check | null;

/** The check of an argument or input field within its parent; null if it contains no strings. */
function checkOf(
  { name, type }: GraphQLArgument | GraphQLInputField,
  parent: string,
  compile: Compile,
): Check | null {
  const unchecked = name === 'idempotencyKey' || CHECKED_BY_ENGINE.has(`${parent}.${name}`);
  const check = unchecked ? checkUnchecked(type) : compile(type, MAX_LENGTHS[name] ?? MAX_LENGTH);
  if (!check) return null;
  return (values, path) => {
    if (typeof values !== 'object' || values === null) return;
    const value: unknown = Reflect.get(values, name);
    if (value === '' && EMPTY_IS_OMITTED.has(name) && !isNonNullType(type)) Reflect.set(values, name, null);
    else if (value !== undefined && value !== null) check(value, [...path, name]);
  };
}

/** Only the length of a string, or of each in a list, that the engine checks. */
function checkUnchecked(type: GraphQLInputType): Check | null {
  if (isNonNullType(type)) return checkUnchecked(type.ofType);
  return (value, path) => {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each !== 'string' || each.length <= MAX_UNCHECKED) continue;
      throw badInput(
        `${path.join('.')} must have at most ${MAX_UNCHECKED} characters, got ${each.length}`,
        path,
      );
    }
  };
}

function createCompiler(): Compile {
  /** Input types by name; null while it is compiled or if it contains no strings. */
  const compiled = new Map<string, Check | null>();
  const compile: Compile = (type, maxLength) => {
    if (isNonNullType(type)) return compile(type.ofType, maxLength);
    if (isListType(type)) {
      const check = compile(type.ofType, maxLength);
      return (
        check &&
        ((values, path) => {
          if (!Array.isArray(values)) return;
          values.forEach((value: unknown, index) => {
            if (value !== null) check(value, [...path, String(index)]);
          });
        })
      );
    }
    if (type === GraphQLString || type === GraphQLID)
      return (value, path) => checkLength(value, path, maxLength);
    if (!isInputObjectType(type)) return null;
    const known = compiled.get(type.name);
    if (known !== undefined) return known;
    compiled.set(type.name, null);
    const checks = Object.values(type.getFields())
      .map((field) => checkOf(field, type.name, compile))
      .filter((check) => check !== null);
    const all: Check | null =
      checks.length === 0
        ? null
        : (value, path) => {
            for (const check of checks) check(value, path);
          };
    compiled.set(type.name, all);
    return all;
  };
  return compile;
}

function checkLength(value: unknown, path: readonly string[], maxLength: number): void {
  if (typeof value !== 'string' || (value.length > 0 && value.length <= maxLength)) return;
  throw tooLongOrEmpty(value, path, maxLength);
}

function tooLongOrEmpty(value: string, path: readonly string[], maxLength: number): GraphQLError {
  return badInput(`${path.join('.')} must have 1 to ${maxLength} characters, got ${value.length}`, path);
}
