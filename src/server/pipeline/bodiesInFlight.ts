/**
 * Bodies that are on their way: their bytes are bounded per caller and per node, and each must arrive with a least speed.
 * Otherwise a caller could hold the memory of many bodies by sending all but the last byte of each.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Limits } from '../../environment/limits.ts';

/** Smaller bodies are not counted: the number of connections bounds them. */
const MIN_BYTES = 16_384;
/** Largest bodies that one caller, and all callers together, may have on their way. */
const BODIES_OF_CALLER = 4;
const BODIES_OF_NODE = 16;
/** A body may take this long whatever its speed, milliseconds. */
const GRACE_MS = 5000;
/** Bytes a second, on average. */
const LEAST_SPEED = 8192;
const POLL_INTERVAL_MS = 1000;

export interface BodiesInFlight {
  /** Counts the body of a request until it has arrived. Returns false if its caller, or the node, has too many. */
  take(request: IncomingMessage, response: ServerResponse): boolean;
  stop(): void;
}

interface Body {
  readonly request: IncomingMessage;
  startedAt: number;
  /** Bytes that the connection had received before. */
  receivedBefore: number;
}

export function createBodiesInFlight({ bodyBytes }: Pick<Limits, 'bodyBytes'>): BodiesInFlight {
  const ofCallers = new Map<string, number>();
  const bodies = new Set<Body>();
  let ofNode = 0;

  /** The bytes that a body may take in memory. */
  function bytesOf({ headers, method }: IncomingMessage): number {
    if (method !== 'POST') return 0;
    const { 'content-length': length, 'content-encoding': coding } = headers;
    return length === undefined || (coding !== undefined && coding !== 'identity')
      ? bodyBytes
      : Number(length);
  }

  const timer = setInterval(() => {
    const now = performance.now();
    for (const body of bodies) {
      const { request, startedAt, receivedBefore } = body;
      // Nothing reads it yet: its caller is being looked up. It cannot arrive meanwhile.
      if (request.readableFlowing === null) {
        Object.assign(body, { startedAt: now, receivedBefore: request.socket.bytesRead });
        continue;
      }
      const seconds = (now - startedAt - GRACE_MS) / 1000;
      const received = request.socket.bytesRead - receivedBefore;
      if (seconds > 0 && received < seconds * LEAST_SPEED) request.socket.destroy();
    }
  }, POLL_INTERVAL_MS).unref();

  return {
    take(request, response) {
      const bytes = bytesOf(request);
      if (bytes < MIN_BYTES) return true;
      const caller = request.headers.authorization ?? request.socket.remoteAddress ?? '';
      const held = ofCallers.get(caller) ?? 0;
      if (held + bytes > BODIES_OF_CALLER * bodyBytes || ofNode + bytes > BODIES_OF_NODE * bodyBytes) {
        return false;
      }
      ofCallers.set(caller, held + bytes);
      ofNode += bytes;
      const body = {
        request,
        startedAt: performance.now(),
        receivedBefore: request.socket.bytesRead,
      };
      bodies.add(body);
      const release = () => {
        if (!bodies.delete(body)) return;
        const left = (ofCallers.get(caller) ?? bytes) - bytes;
        if (left > 0) ofCallers.set(caller, left);
        else ofCallers.delete(caller);
        ofNode -= bytes;
      };
      request.once('end', release).once('close', release);
      response.once('close', release);
      return true;
    },
    stop: () => clearInterval(timer),
  };
}
