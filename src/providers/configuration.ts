/**
 * Reads the providers' configuration file and checks all of it: every mistake is named by its path before a
 * deployment depends on it. Secrets come from the environment, so the file itself can be kept in a repository.
 */
import { z } from 'zod';
import type { Parsed, Violation } from '../core/values/violation.ts';
import {
  type BareUrl,
  type Environment,
  type Header,
  isHeaderText,
  readHeader,
  splitCredentials,
} from './credentials.ts';
import { FIGURES, type Figure } from './figures.ts';
import type { HttpSettings } from './http.ts';
import type { PrometheusSettings } from './prometheus.ts';
import { parseQuery } from './promql.ts';
import type { Endpoint } from './request.ts';
import { fixedParameters, parseUrlTemplate, type UrlTemplate } from './urlTemplate.ts';

/** The checked configuration of one provider. `secrets` must never be shown. */
export type ProviderSettings = { readonly secrets: readonly string[] } & (
  | ({ readonly type: 'prometheus' } & PrometheusSettings)
  | ({ readonly type: 'http' } & HttpSettings)
);

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Reads the file's content.
 * @param environment where `${NAME}` in a header is looked up
 * @returns the providers by name, or everything that is wrong
 */
export function readConfiguration(
  content: unknown,
  environment: Environment,
): Parsed<Readonly<Record<string, ProviderSettings>>> {
  const file = fileSchema(environment).safeParse(content, { reportInput: true });
  return file.success
    ? { ok: true, value: file.data.providers }
    : { ok: false, violations: file.error.issues.flatMap(violationsOf) };
}

function fileSchema(environment: Environment) {
  const endpoint = {
    url: textReadBy(readUrl),
    timeoutMs: z.int().min(10).max(60_000).default(5_000),
    retries: z.int().min(0).max(5).default(2),
    headers: z
      .record(
        z.string().refine((name) => isHeaderText(name, '')),
        textReadBy((value) => readHeader(value, environment)),
      )
      .default({}),
  };
  const prometheus = z
    .strictObject({ type: z.literal('prometheus'), ...endpoint, queries: eachFigure(textReadBy(parseQuery)) })
    .transform(({ type, queries, ...rest }) => ({ type, queries, ...readEndpoint(rest) }));
  const http = z
    .strictObject({
      type: z.literal('http'),
      ...endpoint,
      fields: eachFigure(textReadBy(parseFieldPath)).nullable().default(null),
    })
    .transform(({ type, fields, ...rest }) => ({ type, fields, ...readEndpoint(rest) }));
  return z.strictObject({
    providers: z.record(z.string().regex(NAME), z.discriminatedUnion('type', [prometheus, http])),
  });
}

/** A value per figure; required for the metrics that every comparison needs. */
function eachFigure<T extends z.ZodType>(schema: T) {
  const optional = schema.optional();
  return z.strictObject({
    pnlUsd: schema,
    totalPnlUsd: optional,
    drawdown: optional,
    sharpeRatio: optional,
    winRate: optional,
    trades: schema,
    errors: optional,
    totalGasUsd: optional,
    avgTradeSizeUsd: optional,
    uptimeSeconds: optional,
    unrealizedPnlUsd: optional,
    asOf: optional,
  } satisfies Record<Figure, z.ZodType>);
}

/** A string that another module parses. If the parser returns a string, it is the error message. */
function textReadBy<T extends object>(read: (text: string) => T | string) {
  return z.string().transform((text, context): T => {
    const result = read(text);
    if (typeof result !== 'string') return result;
    context.addIssue(result);
    return z.NEVER;
  });
}

interface ProviderUrl extends BareUrl {
  readonly template: UrlTemplate;
}

function readUrl(text: string): ProviderUrl | string {
  const bare = splitCredentials(text);
  if (typeof bare === 'string') return bare;
  const template = parseUrlTemplate(bare.url);
  if (typeof template === 'string') return template;
  return { ...bare, template, secrets: [...bare.secrets, ...fixedParameters(template)] };
}

function parseFieldPath(text: string): string[] | string {
  const names = text.split('.');
  return names.includes('') ? 'must be names with points between, such as pnl.net' : names;
}

/** The settings common to all types. The URL's credentials become a header. */
function readEndpoint(input: {
  readonly url: ProviderUrl;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly headers: Readonly<Record<string, Header>>;
}): { endpoint: Endpoint; secrets: string[] } {
  const { url, timeoutMs, retries } = input;
  const headers = Object.entries(input.headers);
  const sent = new Headers(headers.map(([name, { value }]) => [name, value]));
  if (url.authorization && !sent.has('authorization')) sent.set('authorization', url.authorization);
  return {
    endpoint: { url: url.template, headers: Object.fromEntries(sent), timeoutMs, retries },
    secrets: [...url.secrets, ...headers.flatMap(([, { secrets }]) => secrets)],
  };
}

const EXPECTED: Readonly<Record<string, string>> = {
  int: 'a whole number',
  object: 'an object',
  record: 'an object',
};
const BAD_NAME = 'is not a name: use letters, digits, points, dashes and underscores, at most 64';

/** Translates a zod issue into Serin's violations. */
function violationsOf(issue: z.core.$ZodIssue): Violation[] {
  const path = issue.path.map(String);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(path.at(-1)) }));
    case 'invalid_type':
      return [
        {
          path,
          message:
            issue.input === undefined
              ? 'is required'
              : `must be ${EXPECTED[issue.expected] ?? `a ${issue.expected}`}`,
        },
      ];
    case 'too_small':
      return [{ path, message: `must be at least ${issue.minimum}` }];
    case 'too_big':
      return [{ path, message: `must be at most ${issue.maximum}` }];
    case 'invalid_union':
      return [{ path, message: 'must be "prometheus" or "http"' }];
    case 'invalid_key':
      return [{ path, message: path.at(-2) === 'headers' ? 'is not a header name' : BAD_NAME }];
    default:
      return [{ path, message: issue.message }];
  }
}

function unknownKey(parent: string | undefined): string {
  return parent === 'queries' || parent === 'fields'
    ? `is not a metric: use ${FIGURES.join(', ')}`
    : 'is not a setting';
}
