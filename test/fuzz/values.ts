/** Values for the arguments of operations: mostly plausible, so that calls get far, and often hostile. */
import {
  type GraphQLInputType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql';
import type { Random } from './random.ts';

/** What is there to be named: ids of deployments in every status, and a whole document. */
export interface Known {
  readonly ids: readonly string[];
  readonly document: unknown;
  readonly cursors: readonly string[];
}

const HOSTILE_STRINGS = [
  '',
  ' ',
  'x'.repeat(70_000),
  '\u0000',
  'a\u0000b',
  '\ud800',
  'x\udc00y',
  '💣🏴‍☠️',
  '\u202etxet',
  "'; drop table deployments; --",
  "\\'; select pg_sleep(10); --",
  '../../../../etc/passwd',
  '__proto__',
  'constructor',
  'toString',
  '%s%n%x',
  'a\r\nSet-Cookie: b',
  '"}{"',
  '\\',
  '<script>alert(1)</script>',
  'NaN',
  'null',
  '-0',
  '1e999999999',
  '9'.repeat(400),
  'zzzzzzzzzzzzz-zzzzzzzzzzzzz',
  '0-0',
  Buffer.from('["CREATED_AT",1,"\\u0000"]').toString('base64url'),
  Buffer.from('["CREATED_AT",-9007199254740991,"x"]').toString('base64url'),
];
const HOSTILE_NUMBERS = [
  0, -0, -1, 1, 2_147_483_647, -2_147_483_648, 2_147_483_648, 1e21, 1e100, 1.5, -0.1, 5e-324,
];
const HOSTILE_DECIMALS = [
  ...['0', '-0', '-1', '1e38', '1e-18', '1e-19', '0x10', '1,5', '+1', 'NaN', 'Infinity', '', '.', '-.5'],
  ...['9'.repeat(38), '9'.repeat(39), `0.${'1'.repeat(18)}`, `0.${'1'.repeat(19)}`, '99999999999999999999.9'],
  ...[0, -1, 0.1, 1e21, 123456789012345680, true],
];
const HOSTILE_DATES = [
  ...[
    'yesterday',
    '0000-00-00T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
  ],
  ...[
    '9999-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59.999-23:59',
    '2026-01-01',
    '',
    '2026-01-01T24:00:00Z',
    0,
  ],
];
const WRONG: readonly unknown[] = [
  null,
  true,
  7,
  'text',
  [],
  {},
  [[]],
  { a: { b: 1 } },
  [null],
  { __proto__: null, toString: 1 },
];

const PLAUSIBLE: Readonly<Record<string, readonly unknown[]>> = {
  strategyId: ['s-fuzz-1', 's-fuzz-2', 's-fuzz-3'],
  chain: ['arbitrum', 'base'],
  canaryVersionId: ['v2', 'v3'],
  stableVersionId: ['v1'],
  canaryPercent: ['10', '25', 50],
  minutes: [5, 60],
  observationPeriodMinutes: [60],
  checkIntervalSeconds: [3600],
  capitalUsd: ['1000', '0.01', '123456.789'],
  heldUsd: ['100', '900'],
  number: [1, 2],
  first: [0, 1, 5, 200],
  last: [1, 5, 200],
  reason: ['enough seen', null],
  idempotencyKey: ['key-1', 'key-2', null],
  metricsProvider: [null],
};

/** @param name of the argument or field that the value is for */
export function valueFor(
  type: GraphQLInputType,
  name: string,
  random: Random,
  known: Known,
  depth = 0,
): unknown {
  if (random.chance(0.03)) return random.pick(WRONG);
  if (isNonNullType(type)) return valueFor(type.ofType, name, random, known, depth);
  if (isListType(type)) {
    const length = random.chance(0.02) ? 501 : random.below(4);
    return Array.from({ length }, () => valueFor(type.ofType, name, random, known, depth + 1));
  }
  if (isEnumType(type)) {
    return random.chance(0.05) ? 'NO_SUCH_VALUE' : random.pick(type.getValues()).name;
  }
  if (isInputObjectType(type)) {
    if (depth > 6) return {};
    const fields = Object.values(type.getFields()).filter((field) =>
      random.chance(isRequiredInputField(field) ? 0.98 : 0.35),
    );
    const made = fields.map((field) => [
      field.name,
      valueFor(field.type, field.name, random, known, depth + 1),
    ]);
    if (random.chance(0.02)) made.push([random.pick(['noSuchField', '__proto__', '']), 1]);
    return Object.fromEntries(made);
  }
  return scalar(type.name, name, random, known);
}

function scalar(type: string, name: string, random: Random, known: Known): unknown {
  const plausible = PLAUSIBLE[name];
  const hostile = random.chance(0.25);
  if (!hostile && plausible) return random.pick(plausible);
  if (type === 'ID' || type === 'String') {
    if (hostile) return random.pick(HOSTILE_STRINGS);
    if (name === 'after' || name === 'before') return random.pick([...known.cursors, '0']);
    return random.pick(known.ids);
  }
  if (type === 'Int') return hostile ? random.pick(HOSTILE_NUMBERS) : random.below(100);
  if (type === 'Float') return hostile ? random.pick(HOSTILE_NUMBERS) : random.next();
  if (type === 'Boolean') return hostile ? random.pick([0, 'true', null]) : random.chance(0.5);
  if (type === 'Decimal') return hostile ? random.pick(HOSTILE_DECIMALS) : String(random.below(100) / 100);
  if (type === 'DateTime') return hostile ? random.pick(HOSTILE_DATES) : '2026-01-01T00:00:00.000Z';
  return hostile ? random.pick([...WRONG, ...HOSTILE_STRINGS]) : damaged(known.document, random);
}

/** A document with something in it taken away, or replaced by something that does not belong there. */
function damaged(document: unknown, random: Random): unknown {
  const copy: unknown = structuredClone(document);
  let at = copy;
  while (typeof at === 'object' && at !== null) {
    const names = Object.keys(at);
    if (names.length === 0) break;
    const name = random.pick(names);
    const inner: unknown = Reflect.get(at, name);
    if (typeof inner !== 'object' || inner === null || random.chance(0.3)) {
      if (random.chance(0.3)) Reflect.deleteProperty(at, name);
      else Reflect.set(at, name, random.pick([...WRONG, ...HOSTILE_STRINGS, ...HOSTILE_NUMBERS]));
      break;
    }
    at = inner;
  }
  return copy;
}
