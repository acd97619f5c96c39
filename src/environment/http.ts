/** Environment variables of the HTTP server: limits per caller, origins, proxies, introspection, the metrics token. */
import { BadEnvironment } from './badEnvironment.ts';
import { type HttpSettings, LIMITS, type LimitName, type Limits } from './limits.ts';

const RULES = {
  SERIN_ORIGINS: {
    isValid: (text: string) => text.split(',').every(isOrigin),
    rule: 'must be a comma-separated list of origins, such as https://desk.example.com',
  },
  SERIN_TRUSTED_PROXIES: {
    isValid: (text: string) => /^(\d|10)$/.test(text),
    rule: 'must be the number of proxies in front of Serin, 0 to 10',
  },
  SERIN_INTROSPECTION: {
    isValid: (text: string) => text === 'on' || text === 'off',
    rule: 'must be on or off: whether introspection and GraphiQL are available',
  },
  SERIN_METRICS_TOKEN: {
    isValid: (text: string) => /^[\w.~+/=-]{16,500}$/.test(text),
    rule: 'must be a secret of 16 to 500 letters, digits and . _ ~ + / = - that Prometheus sends for /metrics',
  },
} as const;

/** Throws {@link BadEnvironment}. */
export function readHttpSettings(variables: NodeJS.ProcessEnv, production: boolean): HttpSettings {
  const read = (name: keyof typeof RULES): string | null => {
    const text = setting(variables, name);
    if (text === null) return null;
    const { isValid, rule } = RULES[name];
    const shown = name === 'SERIN_METRICS_TOKEN' ? '' : `, got ${JSON.stringify(text)}`;
    if (!isValid(text)) throw new BadEnvironment(`${name} ${rule}${shown}`);
    return text;
  };
  const introspection = read('SERIN_INTROSPECTION') ?? (production ? 'off' : 'on');
  return {
    limits: readLimits(variables),
    boundsLoopback:
      setting(variables, LIMITS.rate.variable) !== null ||
      setting(variables, LIMITS.connectionsPerAddress.variable) !== null,
    origins: read('SERIN_ORIGINS')?.split(',') ?? [],
    trustedProxies: Number(read('SERIN_TRUSTED_PROXIES') ?? 0),
    introspection: introspection === 'on',
    metricsToken: read('SERIN_METRICS_TOKEN'),
  };
}

/** An empty variable counts as not set. */
function setting(variables: NodeJS.ProcessEnv, name: string): string | null {
  return variables[name] || null;
}

function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/** Reads every limit, or its default. */
function readLimits(variables: NodeJS.ProcessEnv): Limits {
  const read = (name: LimitName): number => {
    const { variable, defaultValue, least, most, what } = LIMITS[name];
    const text = setting(variables, variable);
    if (text === null) return defaultValue;
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
    documentLength: read('documentLength'),
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
