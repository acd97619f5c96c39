/** The scalars of the API: how values are sent and read. An invalid value is refused before the operation runs. */
import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql';
import { LosslessNumber } from 'lossless-json';
import { Decimal, formatDecimal, parseExactDecimal, parseNumberText } from '../core/values/decimal.ts';
import { parseInstant } from '../core/values/instant.ts';

/** @param node the literal in the document, if the value is one */
function badInput(message: string, node?: ValueNode): GraphQLError {
  return new GraphQLError(message, { nodes: node ?? null, extensions: { code: 'BAD_USER_INPUT' } });
}

function parseDecimalValue(text: string, value: Decimal | string, node?: ValueNode): Decimal {
  if (typeof value === 'string') {
    throw badInput(`Decimal ${JSON.stringify(text.slice(0, 80))} ${value}`, node);
  }
  return value;
}

/** Reads a string, which must be exact. */
const readString = (text: string, node?: ValueNode) => parseDecimalValue(text, parseExactDecimal(text), node);

/** Reads a number, as programs print it. */
const readNumber = (text: string, node?: ValueNode) => parseDecimalValue(text, parseNumberText(text), node);

export const DecimalScalar = new GraphQLScalarType<Decimal, string>({
  name: 'Decimal',
  description:
    'An exact decimal number, sent as a string without exponent ("1234.5"). Read from a string, an integer, or a ' +
    'number literal. A number of at most 17 significant digits, as a double has, is rounded to 18 decimals. Otherwise more ' +
    'than 18 decimals are refused, as are more than 38 significant digits, NaN and Infinity.',
  serialize(value) {
    if (!Decimal.isDecimal(value)) throw new TypeError(`not a Decimal: ${String(value)}`);
    return formatDecimal(value);
  },
  parseValue(value) {
    if (value instanceof LosslessNumber) return readNumber(value.value);
    if (typeof value === 'string') return readString(value);
    if (typeof value === 'number') {
      if (!Number.isInteger(value) || Number.isSafeInteger(value)) return readNumber(String(value));
      throw badInput(`Decimal ${value} may have lost digits as a JSON number: send it as a string`);
    }
    throw badInput(`Decimal must be a string or a number, got ${typeof value}`);
  },
  parseLiteral(node) {
    if (node.kind === Kind.STRING) return readString(node.value, node);
    if (node.kind === Kind.INT || node.kind === Kind.FLOAT) return readNumber(node.value, node);
    throw badInput('Decimal must be a string or a number', node);
  },
});

function readInstant(text: string, node?: ValueNode): number {
  const instant = parseInstant(text);
  if (instant !== null) return instant;
  const shown = JSON.stringify(text.slice(0, 80));
  throw badInput(`DateTime ${shown} is not an RFC 3339 date and time of the years 1 to 9999`, node);
}

/** An instant; resolvers see it as epoch milliseconds. */
export const DateTimeScalar = new GraphQLScalarType<number, string>({
  name: 'DateTime',
  description: 'An instant as RFC 3339 in UTC with milliseconds: "2026-01-31T12:00:00.000Z".',
  serialize(value) {
    if (typeof value !== 'number') throw new TypeError(`not an instant: ${String(value)}`);
    return new Date(value).toISOString();
  },
  parseValue(value) {
    if (typeof value !== 'string') throw badInput(`DateTime must be a string, got ${typeof value}`);
    return readInstant(value);
  },
  parseLiteral(node) {
    if (node.kind !== Kind.STRING) throw badInput('DateTime must be a string', node);
    return readInstant(node.value, node);
  },
});

/** Converts exactly parsed JSON numbers to plain numbers: documents write amounts as strings. */
function plain(value: unknown): unknown {
  if (value instanceof LosslessNumber) return Number(value.value);
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return value;
}

function literal(node: ValueNode, variables: Record<string, unknown> | null | undefined): unknown {
  switch (node.kind) {
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((value) => literal(value, variables));
    case Kind.OBJECT:
      return Object.fromEntries(
        node.fields.map((field) => [field.name.value, literal(field.value, variables)]),
      );
    case Kind.VARIABLE:
      return plain(variables?.[node.name.value]);
  }
}

export const JsonScalar = new GraphQLScalarType<unknown, unknown>({
  name: 'JSON',
  description: 'Any JSON value: only for exported documents and the details of events.',
  serialize: (value) => value,
  parseValue: plain,
  parseLiteral: literal,
});
