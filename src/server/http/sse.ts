/** Streams over HTTP (Server-Sent Events): their headers, and ending them when the server stops. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';

/**
 * Proxies must pass each event on immediately: nginx and others collect a response unless `X-Accel-Buffering` forbids it, and
 * a proxy that compresses would collect it too.
 */
const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** Adds the headers of streams to Yoga's responses. */
export function streamHeaders(): Plugin {
  return {
    onResponse({ response }) {
      if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return;
      for (const [name, value] of Object.entries(STREAM_HEADERS)) response.headers.set(name, value);
      // Yoga says `none`, which is not a coding.
      response.headers.delete('content-encoding');
    },
  };
}

export interface OpenStreams {
  /** Remembers the response if the request wants a stream. */
  add(request: IncomingMessage, response: ServerResponse): void;
  /** Breaks off all streams: a client resumes a broken stream on another node, and takes one that ends for complete. */
  destroyAll(): void;
}

export function createOpenStreams(): OpenStreams {
  const streams = new Set<ServerResponse>();
  return {
    add({ headers }, response) {
      if (!headers.accept?.includes('text/event-stream')) return;
      streams.add(response);
      response.once('close', () => streams.delete(response));
    },
    destroyAll() {
      for (const stream of streams) stream.destroy();
    },
  };
}
