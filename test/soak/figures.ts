/** What a soak measures, and what it must not find. */
import type postgres from 'postgres';
import type { SerinNode } from '../faults/nodes.ts';
import { type Inside, lookInside } from './inspector.ts';

export interface NodeFigures extends Inside {
  readonly name: string;
  /** Streams open on the node. */
  readonly consumers: number;
}

export interface Figures {
  readonly nodes: readonly NodeFigures[];
  /** Of all nodes, to PostgreSQL. */
  readonly connections: number;
}

/** The figures of a soak at its four stations. */
export interface Stations {
  /** Under load, warmed up. */
  readonly warm: Figures;
  /** Under load, at its end. */
  readonly worn: Figures;
  /** Before visitors came and went, … */
  readonly before: Figures;
  /** … after they did, … */
  readonly after: Figures;
  /** … and when everybody has left. */
  readonly idle: Figures;
}

const MB = 1_000_000;
/** What a node may hold, of connections to PostgreSQL (docs/operations.md). */
const CONNECTIONS = 17;
/** Those, and what the load's own HTTP client keeps open for its next request. */
const SOCKETS = CONNECTIONS + 33;
/**
 * Compiled code still grows a little, and so does what is remembered of the latest deployments, until it is full; what is
 * kept of every request, event or visit grows far beyond.
 */
const HEAP_MAY_GROW = 10 * MB;
const RSS_MAY_GROW = 80 * MB;
/** Of 10,000 visitors that leave 400 bytes each, one would know. */
const HEAP_OF_VISITS = 4 * MB;

/** @param inspectors of every node, where its inspector listens */
export async function measure(
  inspectors: ReadonlyMap<SerinNode, string>,
  client: postgres.Sql,
): Promise<Figures> {
  const [row] = await client<{ connections: number }[]>`
    select count(*)::int as connections from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;
  return {
    nodes: await Promise.all(
      [...inspectors].map(async ([node, inspector]) => ({
        name: node.name,
        consumers: await consumersOf(node),
        ...(await lookInside(inspector)),
      })),
    ),
    connections: row?.connections ?? 0,
  };
}

export async function consumersOf({ url }: SerinNode): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^serin_feed_consumers (\d+)/m.exec(text)?.[1]);
}

/** Every leak, in a sentence. */
export function findLeaks({ warm, worn, before, after, idle }: Stations): string[] {
  return [
    ...grown('heap under load', 'heapUsed', warm, worn, HEAP_MAY_GROW),
    ...grown('memory under load', 'rss', warm, worn, RSS_MAY_GROW),
    ...grown('heap over visits', 'heapUsed', before, after, HEAP_OF_VISITS),
    ...grown('streams over visits', 'consumers', before, after, 0),
    ...idle.nodes.flatMap(({ name, consumers, sockets }) => [
      ...(consumers > 0 ? [`streams: ${consumers} are left on ${name}`] : []),
      ...(sockets > SOCKETS ? [`sockets: ${sockets} are left on ${name}`] : []),
    ]),
    ...[warm, worn, after].flatMap(({ nodes, connections }) =>
      connections > nodes.length * CONNECTIONS ? [`connections to PostgreSQL: ${connections}`] : [],
    ),
  ];
}

function grown(
  what: string,
  figure: 'heapUsed' | 'rss' | 'consumers',
  from: Figures,
  to: Figures,
  allowed: number,
): string[] {
  return to.nodes.flatMap((node, index) => {
    const start = from.nodes[index]?.[figure] ?? 0;
    return node[figure] - start > allowed ? [`${what}: ${node.name} from ${start} to ${node[figure]}`] : [];
  });
}

/** A line for people. */
export function describeFigures({ nodes, connections }: Figures): string {
  const each = nodes.map(
    ({ name, rss, heapUsed, sockets, consumers }) =>
      `${name}: rss ${inMb(rss)} MB, heap ${inMb(heapUsed)} MB, ${sockets} sockets, ${consumers} streams`,
  );
  return [...each, `${connections} connections to PostgreSQL`].join('; ');
}

const inMb = (bytes: number) => (bytes / MB).toFixed(1);
