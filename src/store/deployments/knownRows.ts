/**
 * The rows of deployments that this node has read. A read says which versions of them it knows, and PostgreSQL sends only
 * the others: writing a state as text, sending it and parsing it take most of a read, and a state is read far more often
 * than it changes. What is sent and what is known are of one statement, so that a read is as consistent as without.
 */
import { LRUCache } from 'lru-cache';
import type { DeploymentState } from '../../core/lifecycle/state.ts';
import type { SideMetrics } from '../../core/metrics/sideMetrics.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import type { BySide } from '../../core/values/side.ts';
import type { Reporter } from './sideMetrics.ts';

/** A version of a row and what was read from it. */
export interface Known<T> {
  /**
   * The transaction that wrote it, and its place in the table (`xmin` and `ctid`). Only versions that are committed are
   * known, and each start of a server is kept apart: after a crash or a restore the number of a transaction that was lost
   * is given to another one. Empty for what the reading transaction has written itself: it is sent again.
   */
  readonly version: string;
  readonly value: T;
  /** Characters of JSON that it was read from. Parsed, it takes two to three times their memory. */
  readonly size: number;
}

/** What a view has from a row of `deployments`. */
export interface DeploymentRow {
  readonly state: DeploymentState;
  readonly breaches: BreachCounts;
  readonly nextCheckAt: number | null;
  readonly deadlineAt: number | null;
}

/** What a view has from a row of `side_metrics`. */
export interface SideRow {
  readonly metrics: SideMetrics;
  /** Who reported the figures; null for a provider, and where that is not known. */
  readonly reporter: Reporter | null;
  /** Counts writes. */
  readonly writes: number;
}

/** The rows of a deployment. */
export interface KnownRows extends BySide<Known<SideRow> | null> {
  readonly deployment: Known<DeploymentRow>;
}

interface Entry {
  readonly rows: KnownRows;
  /** The id and the versions of the rows, as a member of a JSON object: made when they are read again. */
  member: string | null;
}

/** A primary, its replica, and the server before a failover. */
const SERVERS = 3;
/** Characters of JSON for each server. A configuration counts with each of its deployments, although most share one. */
export const CHARACTERS = 12_000_000;
/** PostgreSQL uses a transaction's number again after four billion others: hours at the least. */
const KEPT_MS = 3_600_000;

/** By the start of the server, as PostgreSQL writes it, and the deployment's id. */
const servers = new LRUCache<string, LRUCache<string, Entry>>({ max: SERVERS });

/** Rows of some deployments, as known when a read began. */
export interface KnownBefore {
  /**
   * For the statement, JSON: by the start of a server its key under the empty name, and by the ids of deployments the
   * versions of their rows.
   */
  readonly json: string;
  /** @param key of a server, or its start where it has none */
  rowsOf(key: string, id: string): KnownRows | undefined;
  startOf(key: string): string;
}

/** The rows that are known of these deployments. */
export function knownRows(ids: readonly string[]): KnownBefore {
  const known = [...servers].map(([start, entries]) => ({ start, ...knownTo(entries, ids) }));
  const members = known.map(
    ({ start, versions }, key) => `${JSON.stringify(start)}:{"":"${key}"${versions}}`,
  );
  return {
    json: `{${members.join(',')}}`,
    rowsOf: (key, id) => known[Number(key)]?.rows.get(id),
    startOf: (key) => known[Number(key)]?.start ?? key,
  };
}

function knownTo(entries: LRUCache<string, Entry>, ids: readonly string[]) {
  const rows = new Map<string, KnownRows>();
  let versions = '';
  for (const id of ids) {
    const entry = entries.get(id);
    if (!entry) continue;
    rows.set(id, entry.rows);
    entry.member ??= memberOf(id, entry.rows);
    versions += `,${entry.member}`;
  }
  return { rows, versions };
}

function memberOf(id: string, { deployment, CANARY, STABLE }: KnownRows): string {
  const versions = { deployment: deployment.version, CANARY: CANARY?.version, STABLE: STABLE?.version };
  return `${JSON.stringify(id)}:${JSON.stringify(versions)}`;
}

/** Remembers a row of `deployments` as this node has written and committed it, where its other rows are known. */
export function rememberWritten(start: string, version: string, value: DeploymentRow): void {
  const before = servers.get(start)?.peek(value.state.id)?.rows;
  if (before) rememberRows(start, { ...before, deployment: { ...before.deployment, version, value } });
}

/** Remembers what was read from a server that started then. */
export function rememberRows(start: string, rows: KnownRows): void {
  const { deployment, CANARY, STABLE } = rows;
  let entries = servers.get(start);
  if (!entries) {
    entries = new LRUCache({ maxSize: CHARACTERS, ttl: KEPT_MS });
    servers.set(start, entries);
  }
  const { id } = deployment.value.state;
  const size = deployment.size + (CANARY?.size ?? 0) + (STABLE?.size ?? 0);
  entries.set(id, { rows, member: null }, { size });
}
