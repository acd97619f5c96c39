/**
 * What the server's schema offers beyond its first release. A client that is newer than its server must not send a field
 * that the server does not know, and introspection is off in production: so each feature is tried in a document that is
 * validated and then skipped, which changes nothing.
 */
import { SerinError } from './errors.ts';
import type { Http } from './http.ts';

export type Feature =
  | 'session'
  | 'sequence'
  | 'asOf'
  | 'unrealizedPnlUsd'
  | 'stale'
  | 'now'
  | 'clockRate'
  | 'leaseSeconds'
  | 'heartbeat'
  | 'rollbackPlan';

const report = (field: string, selected = 'success') =>
  `updateCanaryMetrics(input: { deploymentId: "" ${field} }) @skip(if: true) { ${selected} }`;

const PROBES: Readonly<Record<Feature, string>> = {
  session: report('session: ""'),
  sequence: report('sequence: 1'),
  asOf: report('asOf: "2026-01-01T00:00:00.000Z"'),
  unrealizedPnlUsd: report('unrealizedPnlUsd: "0"'),
  stale: report('', 'stale'),
  now: report('', 'now'),
  clockRate: report('', 'clockRate'),
  leaseSeconds: report('', 'leaseSeconds'),
  heartbeat: 'heartbeat(input: { deploymentId: "", side: CANARY }) @skip(if: true) { success }',
  rollbackPlan: `acknowledgeAllocation(input: { deploymentId: "", number: 1, side: CANARY, heldUsd: "0"
    openExposureUsd: "0" }) @skip(if: true) { deployment { config { rollbackPlan { positions } }
    allocation { rollbackPlan { positions } } } }`,
};

/** Codes of a document that does not fit the schema. */
const UNKNOWN = new Set(['GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT']);

export type Features = ReadonlySet<Feature>;

/** Asks once, in one request where all are known; @throws {SerinError} where the caller itself is refused. */
export async function readFeatures(http: Http, signal?: AbortSignal): Promise<Features> {
  const names = Object.keys(PROBES) as Feature[];
  const all = names.map((name, index) => `f${index}: ${PROBES[name]}`).join(' ');
  if (await isKnown(http, all, signal)) return new Set(names);
  const known = await Promise.all(names.map((name) => isKnown(http, PROBES[name], signal)));
  return new Set(names.filter((_, index) => known[index]));
}

async function isKnown(http: Http, fields: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await http.send(`mutation { ${fields} }`, {}, signal);
    return true;
  } catch (error) {
    if (error instanceof SerinError && UNKNOWN.has(error.code)) return false;
    throw error;
  }
}
