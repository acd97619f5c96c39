/** The part of the environment that is about strangers: the bounds of what they may ask, and who is let in. */
import { BadEnvironment } from './badEnvironment.ts';
import { type HttpSettings, LIMITS, type LimitName, type Limits } from './limits.ts';

const RULES = {
  SERIN_ORIGINS: {
    reads: (text: string) => text.split(',').every(isOrigin),
    rule: 'must be a list of origins with commas between, such as https://desk.example.com',
  },
  SERIN_TRUSTED_PROXIES: {
    reads: (text: string) => /^(\d|10)$/.test(text),
    rule: 'must be how many proxies stand in front, 0 to 10',
  },
  SERIN_INTROSPECTION: {
    reads: (text: string) => text === 'on' || text === 'off',
    rule: 'must be on or off: whether the schema can be asked for, and GraphiQL is there',
  },
  SERIN_METRICS_TOKEN: {
    reads: (text: string) => /^[\w.~+/=-]{16,500}$/.test(text),
    rule: 'must be a secret of 16 to 500 letters, digits and . _ ~ + / = - that Prometheus brings for /metrics',
  },
} as const;

/** Throws {@link BadEnvironment}. */
export function readHttpSettings(variables: NodeJS.ProcessEnv, production: boolean): HttpSettings {
  const read = (name: keyof typeof RULES): string | null => {
    const text = given(variables, name);
    if (text === null) return null;
    const { reads, rule } = RULES[name];
    const shown = name === 'SERIN_METRICS_TOKEN' ? '' : `, got ${JSON.stringify(text)}`;
    if (!reads(text)) throw new BadEnvironment(`${name} ${rule}${shown}`);
    return text;
  };
  const introspection = read('SERIN_INTROSPECTION') ?? (production ? 'off' : 'on');
  return {
    limits: readLimits(variables),
    boundsLoopback:
      given(variables, LIMITS.rate.variable) !== null ||
      given(variables, LIMITS.connectionsPerAddress.variable) !== null,
    origins: read('SERIN_ORIGINS')?.split(',') ?? [],
    trustedProxies: Number(read('SERIN_TRUSTED_PROXIES') ?? 0),
    introspection: introspection === 'on',
    metricsToken: read('SERIN_METRICS_TOKEN'),
  };
}

/** A variable that is set to nothing is not set. */
function given(variables: NodeJS.ProcessEnv, name: string): string | null {
  return variables[name] || null;
}

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/** Every bound: as it is set, or its standard value. */
function readLimits(variables: NodeJS.ProcessEnv): Limits {
  const read = (name: LimitName): number => {
    const { variable, standard, least, most, what } = LIMITS[name];
    const text = given(variables, variable);
    if (text === null) return standard;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new BadEnvironment(
      `${variable} must be a whole number from ${least} to ${most} (${what}), got ${JSON.stringify(text)}`,
    );
  };
  return {
    depth: read('depth'),
    cost: read('cost'),
    aliases: read('aliases'),
    fields: read('fields'),
    tokens: read('tokens'),
    bodyBytes: read('bodyBytes'),
    variableValues: read('variableValues'),
    variableDepth: read('variableDepth'),
    operationsPerSocket: read('operationsPerSocket'),
    connections: read('connections'),
    connectionsPerAddress: read('connectionsPerAddress'),
    rate: read('rate'),
    keyRate: read('keyRate'),
    subscriptionsPerKey: read('subscriptionsPerKey'),
    headersTimeoutMs: read('headersTimeoutMs'),
    initMs: read('initMs'),
  };
}
