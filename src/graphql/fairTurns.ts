/**
 * Lists are completed in portions, and fields that read the database by themselves take turns, so that a large operation
 * does not delay others (`app/execution/fairShare.ts`).
 */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import {
  defaultFieldResolver,
  type GraphQLField,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  isObjectType,
} from 'graphql';
import type { Pace } from '../store/postgres/convertRows.ts';
import type { Context } from './builder.ts';
import { DEFAULT_PAGE, type PageArgs } from './paging.ts';

/** Items of a list that are completed together: each may have many fields, and rows are loaded by portion. */
export const PORTION = 50;
/** The same for a large caller while others are active. */
const SMALL_PORTION = 10;

/**
 * The extensions of a field that reads the database for each of its parents. Such a field has a price, and a caller's
 * reads take turns. Pages are such fields without it.
 */
export const READS = { reads: true } as const;

type ReadingField = Pick<GraphQLField<unknown, Context>, 'args' | 'extensions'>;

/** Whether a field reads the database for each of its parents. */
export const readsDatabase = ({ args, extensions }: ReadingField): boolean =>
  extensions.reads === true || args.some(({ name }) => name === 'first');

/** Adds turns to every field of an object type that reads, and to every list of objects. */
export function inTurns(schema: GraphQLSchema): GraphQLSchema {
  const roots = new Set([schema.getMutationType(), schema.getSubscriptionType()]);
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__') || roots.has(type)) continue;
    for (const field of Object.values(type.getFields())) {
      if (readsDatabase(field)) takeTurns(field);
      if (isListType(getNullableType(field.type)) && isCompositeType(getNamedType(field.type))) divide(field);
    }
  }
  return schema;
}

/** The pace at which an operation converts the rows that it reads: it gives way as its portions do, where it has to. */
export const paceOf =
  ({ app, actor }: Pick<Context, 'app' | 'actor'>): Pace =>
  () =>
    app.fairShare.mustYield(actor.subject) ? app.fairShare.portion(actor.subject) : yieldToEventLoop();

function takeTurns(field: GraphQLField<unknown, Context>): void {
  const { resolve = defaultFieldResolver } = field;
  field.resolve = (source, args, context, info) =>
    context.app.fairShare.read(context.actor.subject, rowsOf(args), context.presence.signal, async () =>
      resolve(source, args, context, info),
    );
}

/** The most rows that a field with these arguments reads. One that is not a page reads few. */
function rowsOf({ first, last }: PageArgs): number {
  return first ?? last ?? DEFAULT_PAGE;
}

function divide(field: GraphQLField<unknown, Context>): void {
  const { resolve = defaultFieldResolver } = field;
  field.resolve = (source, args, context, info) => {
    const list: unknown = resolve(source, args, context, info);
    return list instanceof Promise
      ? list.then((items) => inPortions(items, context))
      : inPortions(list, context);
  };
}

/** Promises of the items of a long list, a portion after the other; a short list as it is. */
function inPortions(list: unknown, context: Context): unknown {
  if (!Array.isArray(list) || list.length <= PORTION) return list;
  const { fairShare } = context.app;
  const { subject } = context.actor;
  const size = fairShare.mustYield(subject) ? SMALL_PORTION : PORTION;
  let portion: Promise<unknown> = Promise.resolve();
  return list.map((item, index) => {
    if (index % size === 0) portion = portion.then(() => fairShare.portion(subject));
    return portion.then(() => item);
  });
}
