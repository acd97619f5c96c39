/**
 * Lists are completed in portions, and fields that read the database by themselves take turns, so that a large operation
 * does not delay others: between two portions the event loop serves them.
 */
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
import type { Context } from './builder.ts';

/** Items of a list that are completed at once: each may have many fields, and rows are loaded by portion. */
export const PORTION = 50;

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

function takeTurns(field: GraphQLField<unknown, Context>): void {
  const { resolve = defaultFieldResolver } = field;
  field.resolve = (source, args, context, info) =>
    context.app.fairReads.run(context.actor.subject, context.signal, async () =>
      resolve(source, args, context, info),
    );
}

function divide(field: GraphQLField<unknown, Context>): void {
  const { resolve = defaultFieldResolver } = field;
  field.resolve = (source, args, context, info) => {
    const list: unknown = resolve(source, args, context, info);
    return list instanceof Promise ? list.then(inPortions) : inPortions(list);
  };
}

/** The first items as they are, and promises of the others. */
function inPortions(list: unknown): unknown {
  if (!Array.isArray(list) || list.length <= PORTION) return list;
  let turn: Promise<void> = Promise.resolve();
  return list.map((item, index) => {
    if (index < PORTION) return item;
    if (index % PORTION === 0) turn = eventLoopTurn();
    return turn.then(() => item);
  });
}

/** Portions that wait, the oldest first. */
const waiting: (() => void)[] = [];

/** Resolves in a turn of the event loop in which no other portion is completed. */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(completeNext);
  });
}

function completeNext(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(completeNext);
}
