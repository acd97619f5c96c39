/** The endpoints for operators and their tools: `/health`, `/ready` and `/metrics`. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Access } from '../../access/access.ts';
import { ENDPOINT, type HttpSettings } from '../../environment/limits.ts';
import type { Metrics } from '../telemetry/prometheus.ts';

export interface Readiness {
  /** Why this node cannot work, as a message; null if it can. */
  readonly missing: string | null;
  /** Problems that do not stop the node but need an operator. */
  readonly warnings: readonly string[];
  /** The read replica: whether it is used, and by how much it lags at most; null without one. */
  readonly replica: { readonly used: boolean; readonly lagSeconds: number } | null;
}

/** Dependencies of these endpoints. */
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

type EndpointHandler = (parts: OperatorParts, request: IncomingMessage) => Promise<PlainAnswer>;

export const OPERATOR_ENDPOINTS: Readonly<Record<string, EndpointHandler>> = {
  '/health': async () => json(200, { status: 'ok' }),
  '/ready': async ({ readiness }) => {
    const { missing, warnings, replica } = await readiness();
    return missing === null
      ? json(200, {
          status: 'ready',
          ...(warnings.length > 0 ? { warnings } : {}),
          ...(replica ? { replica } : {}),
        })
      : json(503, { status: 'not ready', missing });
  },
  '/metrics': async ({ access, metrics, settings: { metricsToken } }, { headers }) => {
    if (!access.open && !carriesToken(headers.authorization, metricsToken))
      return json(401, { error: TOKEN_REQUIRED });
    return { status: 200, type: metrics.contentType, body: await metrics.text() };
  },
};

/** The figures cover all strategies and are served while the database is away, so an API key does not grant access. */
const TOKEN_REQUIRED =
  '/metrics requires "Authorization: Bearer …" with the SERIN_METRICS_TOKEN of this node';

/** Compares in constant time. */
function carriesToken(authorization: string | undefined, token: string | null): boolean {
  if (token === null || authorization === undefined) return false;
  const digest = (text: string) => hash('sha256', text, 'buffer');
  return timingSafeEqual(digest(authorization), digest(`Bearer ${token}`));
}

export const notFound = async () =>
  json(404, {
    error: `Not found. Serin's API is at ${ENDPOINT}; there are also /health, /ready and /metrics`,
  });
