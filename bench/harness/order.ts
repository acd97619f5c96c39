/** Orders to the load generator, and its answers. */
import { once } from 'node:events';
import type { Child } from './child.ts';

export interface LoadOrder {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Ends after this number of requests instead. */
  readonly amount?: number;
  /** Who asks; the anonymous caller if absent. */
  readonly actor?: string;
  /** Bodies to post, a list for each connection, each list sent over and over. Absent: GET. */
  readonly bodies?: readonly (readonly string[])[];
}

export interface LoadFigures {
  readonly perSecond: number;
  readonly total: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Errors, time-outs and answers other than 2xx. */
  readonly failed: number;
}

export function isOrder(value: unknown): value is LoadOrder {
  return typeof value === 'object' && value !== null && 'url' in value && 'connections' in value;
}

function isFigures(value: unknown): value is LoadFigures {
  return typeof value === 'object' && value !== null && 'perSecond' in value;
}

/** Has the load generator carry out an order. A load with failures is no measurement. */
export async function putLoad(generator: Child, order: LoadOrder): Promise<LoadFigures> {
  generator.process.send(order);
  const [answer] = await once(generator.process, 'message');
  if (!isFigures(answer)) throw new Error(`the load failed: ${JSON.stringify(answer)}`);
  if (answer.failed > 0)
    throw new Error(`${answer.failed} of ${answer.total} requests to ${order.url} failed`);
  return answer;
}
