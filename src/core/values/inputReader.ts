import { type Decimal, formatDecimal, parseDecimalRounded, shown, ZERO } from './decimal.ts';
import { MAX_NAME_LENGTH } from './identifiers.ts';
import type { Violation } from './violation.ts';

/** Reads values of callers that no compiler has checked. After a violation the returned value is a placeholder. */
export class Reader {
  readonly violations: Violation[] = [];

  refuse(path: readonly string[], message: string): void {
    this.violations.push({ path, message });
  }

  decimal(path: readonly string[], given: unknown, min: string, max: string): Decimal {
    const value = parseDecimalRounded(given);
    if (typeof value === 'string') {
      this.refuse(path, value);
      return ZERO;
    }
    if (value.lt(min) || value.gt(max)) {
      this.refuse(path, `must be between ${min} and ${max}, got ${formatDecimal(value)}`);
    }
    return value;
  }

  /** A limit above zero: zero would be exceeded from the start. */
  aboveZero(path: readonly string[], given: unknown, max: string): Decimal {
    const value = parseDecimalRounded(given);
    if (typeof value === 'string' || value.gt(0)) return this.decimal(path, given, '0', max);
    this.refuse(path, `must be above 0 (null switches it off), got ${formatDecimal(value)}`);
    return value;
  }

  integer(path: readonly string[], given: unknown, min: number, max: number): number {
    if (typeof given === 'number' && Number.isInteger(given)) {
      if (given < min || given > max) this.refuse(path, `must be between ${min} and ${max}, got ${given}`);
      return given;
    }
    this.refuse(path, `must be a whole number, got ${shown(given)}`);
    return min;
  }

  flag(path: readonly string[], given: unknown): boolean {
    if (typeof given !== 'boolean') this.refuse(path, `must be true or false, got ${shown(given)}`);
    return given === true;
  }

  /** A name, or null if there is none: the empty string is what forms and unset variables send. */
  name(path: readonly string[], given: unknown): string | null {
    if (given === null || given === '') return null;
    if (typeof given === 'string' && given.length <= MAX_NAME_LENGTH) return given;
    this.refuse(path, `must be a name of at most ${MAX_NAME_LENGTH} characters, got ${shown(given)}`);
    return null;
  }

  choice<T extends string>(path: readonly string[], given: unknown, choices: readonly [T, ...T[]]): T {
    const found = choices.find((choice) => choice === given);
    if (found === undefined) this.refuse(path, `must be one of ${choices.join(', ')}, got ${shown(given)}`);
    return found ?? choices[0];
  }

  /** A list of at most the given number of items; anything else reads as an empty one. */
  list<T>(path: readonly string[], given: unknown, min: number, max: number): readonly T[] {
    if (!Array.isArray(given)) {
      this.refuse(path, `must be a list, got ${shown(given)}`);
      return [];
    }
    if (given.length >= min && given.length <= max) return given;
    this.refuse(path, `must be a list of ${min} to ${max}, got ${given.length}`);
    return [];
  }

  /** An object with these fields only; anything that is not an object reads as an empty one. */
  fields<T extends object>(
    path: readonly string[],
    given: T | null | undefined,
    names: readonly string[],
  ): Partial<T> {
    if (given === null || given === undefined) return {};
    if (typeof given !== 'object' || Array.isArray(given)) {
      this.refuse(path, `must be an object, got ${shown(given)}`);
      return {};
    }
    for (const name of Object.keys(given)) {
      if (!names.includes(name))
        this.refuse([...path, name], `is not a setting; valid settings are ${names.join(', ')}`);
    }
    return given;
  }
}
