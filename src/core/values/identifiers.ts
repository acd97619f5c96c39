import { shown } from './decimal.ts';
import type { Violation } from './violation.ts';

const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._:/@+-]*$/u;
const NAME_RULE = 'must begin with a letter or digit and have only letters, digits and . _ : / @ + -';
/** An id may have one `~` more, after the name of its strategy. */
const ID = /^[\p{L}\p{N}][\p{L}\p{N}._:/@+-]*(~[\p{L}\p{N}._:/@+-]+)?$/u;
export const MAX_NAME_LENGTH = 200;

/** Checks names by their field; null is a name that was not given. */
export function nameViolations(fields: Readonly<Record<string, unknown>>): Violation[] {
  return Object.entries(fields).flatMap(([field, value]): Violation[] => {
    if (value === null) return [];
    if (typeof value !== 'string')
      return [{ path: [field], message: `must be a string, got ${shown(value)}` }];
    if (value.length === 0 || value.length > MAX_NAME_LENGTH) {
      const message = `must have between 1 and ${MAX_NAME_LENGTH} characters, got ${value.length}`;
      return [{ path: [field], message }];
    }
    return (field === 'id' ? ID : NAME).test(value) ? [] : [{ path: [field], message: NAME_RULE }];
  });
}
