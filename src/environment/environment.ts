/** The configuration of the process: environment variables, read once; an invalid one is refused with its name. */
import { z } from 'zod';
import { type AccessSettings, isOpen } from '../access/access.ts';
import { patternViolation } from '../store/access/strategyScope.ts';
import { parseNetwork } from '../webhooks/networks.ts';
import { readAccess } from './access.ts';
import { BadEnvironment } from './badEnvironment.ts';
import { readHttpSettings } from './http.ts';
import type { HttpSettings } from './limits.ts';

export { BadEnvironment } from './badEnvironment.ts';

export interface Environment {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Null: Serin starts its own PostgreSQL in `dataDir`. */
  readonly databaseUrl: string | null;
  /** The schema of the tables; null for `public`. */
  readonly databaseSchema: string | null;
  /** The read replica, and the real milliseconds that it may lag; null without one. */
  readonly replica: { readonly url: string; readonly maxLagMs: number } | null;
  /** Connections of this node's pool, and one more listens; null for the default. */
  readonly poolSize: number | null;
  readonly dataDir: string;
  /** Seconds of Serin's clock per real second. Null keeps the rate of the database. */
  readonly timeScale: number | null;
  readonly logLevel: LogLevel;
  /** The file with the metrics providers. */
  readonly providersFile: string | null;
  readonly production: boolean;
  readonly access: AccessSettings;
  /** Patterns of the strategies whose promotions need two people. */
  readonly requireApproval: readonly string[];
  readonly http: HttpSettings;
  /** The OpenTelemetry collector for traces; null for none. */
  readonly tracesEndpoint: string | null;
  /** Days after its end for which a deployment's history stays in the log; null keeps it there. */
  readonly retentionDays: number | null;
  /** Networks that webhooks may call in addition to the public internet. */
  readonly webhookNetworks: readonly string[];
}

/** A bound that a replica on the same network keeps, and after which a list is no longer of now. */
const DEFAULT_READ_LAG_SECONDS = 10;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^\d+$/)
    .transform(Number)
    .refine((value) => value <= max);

const listed = (text: string) => text.split(',').map((item) => item.trim());

const VARIABLES = {
  HOST: {
    schema: z.string().regex(/^[^\s/]+$/),
    rule: 'must be an address or host name to listen on, such as 127.0.0.1',
  },
  PORT: { schema: wholeNumber(65_535), rule: 'must be a port from 0 to 65535 (0 picks a free one)' },
  DATABASE_URL: {
    schema: z.string().regex(/^postgres(ql)?:\/\/\S+$/),
    rule: 'must be a PostgreSQL address, such as postgres://user:password@host:5432/serin',
  },
  SERIN_READ_URL: {
    schema: z.string().regex(/^postgres(ql)?:\/\/\S+$/),
    rule: 'must be the PostgreSQL address of a standby of DATABASE_URL, such as postgres://user:password@standby:5432/serin',
  },
  SERIN_READ_MAX_LAG_SECONDS: {
    schema: wholeNumber(300).refine((seconds) => seconds >= 1),
    rule: 'must be a number of seconds from 1 to 300 that the replica of SERIN_READ_URL may lag',
  },
  SERIN_DATABASE_SCHEMA: {
    schema: z.string().regex(/^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/),
    rule: 'must be the name of a schema, such as serin',
  },
  SERIN_POOL_SIZE: {
    schema: wholeNumber(200).refine((size) => size >= 2),
    rule: 'must be a number of connections from 2 to 200',
  },
  SERIN_DATA_DIR: { schema: z.string().min(1), rule: 'must be the path of a folder' },
  SERIN_TIME_SCALE: {
    schema: z
      .string()
      .regex(/^\d+(\.\d+)?$/)
      .transform(Number)
      .refine((value) => value >= 1 && value <= 100_000),
    rule: 'must be a number from 1 to 100000: seconds of Serin’s clock per real second',
  },
  LOG_LEVEL: { schema: z.enum(LOG_LEVELS), rule: `must be one of ${LOG_LEVELS.join(', ')}` },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    schema: z.string().refine((text) => /^https?:/.test(text) && URL.canParse(text)),
    rule: 'must be the address of an OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318',
  },
  SERIN_RETENTION_DAYS: {
    schema: wholeNumber(36_500).refine((days) => days >= 1),
    rule: 'must be a number of days from 1 to 36500 after which the history of an ended deployment is archived',
  },
  SERIN_REQUIRE_APPROVAL: {
    schema: z.string().refine((text) => listed(text).every((pattern) => patternViolation(pattern) === null)),
    rule: 'must be a list of patterns of strategies whose promotions need two people, such as eth-*,btc-carry',
  },
  SERIN_WEBHOOKS_ALLOW_PRIVATE: {
    schema: z.string().refine((text) => listed(text).every((network) => parseNetwork(network) !== null)),
    rule: 'must be a list of networks or addresses that webhooks may call in addition to the public internet, such as 10.1.0.0/16,127.0.0.1',
  },
  SERIN_PROVIDERS: {
    schema: z.string().min(1),
    rule: 'must be the path of a JSON file with metrics providers',
  },
} as const;

/** Reads the environment. Throws {@link BadEnvironment}. */
export function readEnvironment(variables: NodeJS.ProcessEnv): Environment {
  const read = <K extends keyof typeof VARIABLES>(name: K) => {
    const text = variables[name];
    if (text === undefined || text === '') return null;
    const { schema, rule } = VARIABLES[name];
    const parsed = schema.safeParse(text);
    if (!parsed.success)
      throw new BadEnvironment(`${name} ${rule}, got ${JSON.stringify(shown(name, text))}`);
    return parsed.data;
  };
  const production = variables.NODE_ENV === 'production';
  const timeScale = read('SERIN_TIME_SCALE');
  if (production && timeScale !== null && timeScale !== 1) {
    throw new BadEnvironment(
      `SERIN_TIME_SCALE must be 1 in production (NODE_ENV=production), got "${timeScale}": real capital runs on real time`,
    );
  }
  const access = readAccess(variables);
  const requireApproval = listed(String(read('SERIN_REQUIRE_APPROVAL') ?? '')).filter(Boolean);
  if (requireApproval.length > 0 && isOpen(access)) {
    throw new BadEnvironment(
      'SERIN_REQUIRE_APPROVAL needs SERIN_AUTH: an open server does not know its callers, so it cannot distinguish two people',
    );
  }
  const readUrl = read('SERIN_READ_URL');
  const readLag = read('SERIN_READ_MAX_LAG_SECONDS');
  if (readUrl !== null && read('DATABASE_URL') === null) {
    throw new BadEnvironment(
      'SERIN_READ_URL needs DATABASE_URL: Serin starts no standby of its own PostgreSQL, set the address of the primary',
    );
  }
  return {
    host: String(read('HOST') ?? '127.0.0.1'),
    port: Number(read('PORT') ?? 4000),
    databaseUrl: nullable(read('DATABASE_URL')),
    databaseSchema: nullable(read('SERIN_DATABASE_SCHEMA')),
    replica:
      readUrl === null
        ? null
        : { url: String(readUrl), maxLagMs: Number(readLag ?? DEFAULT_READ_LAG_SECONDS) * 1000 },
    poolSize: read('SERIN_POOL_SIZE') === null ? null : Number(read('SERIN_POOL_SIZE')),
    dataDir: String(read('SERIN_DATA_DIR') ?? '.serin'),
    timeScale: timeScale === null ? null : Number(timeScale),
    logLevel: LOG_LEVELS.find((level) => level === read('LOG_LEVEL')) ?? 'info',
    providersFile: nullable(read('SERIN_PROVIDERS')),
    production,
    access,
    requireApproval,
    tracesEndpoint: nullable(read('OTEL_EXPORTER_OTLP_ENDPOINT')),
    http: readHttpSettings(variables, production),
    retentionDays: read('SERIN_RETENTION_DAYS') === null ? null : Number(read('SERIN_RETENTION_DAYS')),
    webhookNetworks: listed(String(read('SERIN_WEBHOOKS_ALLOW_PRIVATE') ?? '')).filter(Boolean),
  };
}

const nullable = (value: string | number | null) => (value === null ? null : String(value));

/** Hides the password of a database URL, which may hold what divides a URL: such a one is why it is refused. */
function shown(name: string, text: string): string {
  if (!name.endsWith('_URL')) return text;
  return text.replace(/^([^:@]*:\/\/[^:@/]*:).*@/s, '$1…@').replace(/(password=)[^&]*/gis, '$1…');
}
