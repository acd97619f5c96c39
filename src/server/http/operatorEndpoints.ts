/** `/health`, `/ready` and `/metrics`: what operators and their tools read. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Access } from '../../access/access.ts';
import { ENDPOINT, type HttpSettings } from '../../environment/limits.ts';
import type { Metrics } from '../telemetry/prometheus.ts';

export interface Readiness {
  /** What is missing for work, in a sentence; null when nothing is. */
  readonly missing: string | null;
  /** What works, but needs an operator. */
  readonly warnings: readonly string[];
}

/** What these endpoints read. */
export interface OperatorParts {
  readonly access: Access;
  readonly settings: HttpSettings;
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
}

interface PlainAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = (status: number, value: unknown): PlainAnswer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});

type Answering = (parts: OperatorParts, request: IncomingMessage) => Promise<PlainAnswer>;

export const OPERATOR_ENDPOINTS: Readonly<Record<string, Answering>> = {
  '/health': async () => json(200, { status: 'ok' }),
  '/ready': async ({ readiness }) => {
    const { missing, warnings } = await readiness();
    return missing === null
      ? json(200, { status: 'ready', ...(warnings.length > 0 ? { warnings } : {}) })
      : json(503, { status: 'not ready', missing });
  },
  '/metrics': async ({ access, metrics, settings: { metricsToken } }, { headers }) => {
    if (!access.open && !carriesToken(headers.authorization, metricsToken))
      return json(401, { error: NO_FIGURES });
    return { status: 200, type: metrics.contentType, body: await metrics.text() };
  },
};

/** Figures are of all strategies, and told while the database is away: no key of a caller can open them. */
const NO_FIGURES =
  'Figures are for whoever brings "Authorization: Bearer …" with the SERIN_METRICS_TOKEN of this node';

/** Takes the same time wherever the two differ. */
function carriesToken(authorization: string | undefined, token: string | null): boolean {
  if (token === null || authorization === undefined) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(authorization), digest(`Bearer ${token}`));
}

export const notFound = async () =>
  json(404, {
    error: `Nothing is here. Serin's API is at ${ENDPOINT}; /health, /ready and /metrics are beside it`,
  });
