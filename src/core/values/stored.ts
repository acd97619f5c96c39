/**
 * Reads stored JSON that another version of Serin may have written. A field that this version does not know is left out
 * of the value, and kept apart to be written back, instead of making the whole value unreadable.
 */
import type { z } from 'zod';

/** A field that this version does not know: where it is in the JSON, and its value. */
export interface UnknownField {
  readonly path: readonly PropertyKey[];
  readonly value: unknown;
}

export interface Stored<T> {
  readonly value: T;
  readonly unknown: readonly UnknownField[];
}

/** Reads a value. @throws {z.ZodError} if it is wrong in any other way than by unknown fields */
export function readStored<T extends z.ZodType>(codec: T, json: unknown): Stored<z.output<T>> {
  const strict = codec.safeParse(json);
  if (strict.success) return { value: strict.data, unknown: [] };
  const { issues } = strict.error;
  const paths = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [],
  );
  if (issues.some(({ code }) => code !== 'unrecognized_keys')) throw strict.error;
  const known: unknown = structuredClone(json);
  const unknown = paths.map((path): UnknownField => ({ path, value: take(known, path) }));
  return { value: codec.parse(known), unknown };
}

/** The value alone. */
export const parseStored = <T extends z.ZodType>(codec: T, json: unknown): z.output<T> =>
  readStored(codec, json).value;

/** Puts fields back into JSON where their parents are still there. */
export function withUnknown<T>(json: T, unknown: readonly UnknownField[]): T {
  if (unknown.length === 0) return json;
  const whole = structuredClone(json);
  for (const { path, value } of unknown) {
    const parent = parentOf(whole, path);
    const key = path.at(-1);
    if (parent && key !== undefined && !(key in parent)) Object.assign(parent, { [key]: value });
  }
  return whole;
}

function take(json: unknown, path: readonly PropertyKey[]): unknown {
  const parent = parentOf(json, path);
  const key = path.at(-1);
  if (!parent || key === undefined) return undefined;
  const value: unknown = Reflect.get(parent, key);
  Reflect.deleteProperty(parent, key);
  return value;
}

/** The object that the last key of a path lies in. */
function parentOf(json: unknown, path: readonly PropertyKey[]): object | null {
  let at: unknown = json;
  for (const key of path.slice(0, -1)) at = isObject(at) ? Reflect.get(at, key) : undefined;
  return isObject(at) ? at : null;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
