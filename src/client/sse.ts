/**
 * One subscription over Server-Sent Events: a POST whose answer does not end. It is read as fast as the consumer takes
 * deliveries and no faster, so that a slow consumer holds no memory: TCP slows the server, which ends the feed with a
 * code that says to resume. Works wherever `fetch` does.
 */
import { credentialHeaders, type Endpoint } from './endpoint.ts';
import { feedError, type GraphQLFailure, messageOf } from './errors.ts';
import type { Variables } from './http.ts';

export interface Execution {
  readonly data?: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors?: readonly GraphQLFailure[] | undefined;
}

/** Serin sends a comment every 12 s; a connection without any sign of life for longer is given up. */
const SILENT_MS = 30_000;
const CONNECT_MS = 10_000;

/** The results of one connection; ends or throws with it. */
export async function* subscribeOverSse(
  endpoint: Pick<Endpoint, 'key' | 'actor' | 'fetch'>,
  address: string,
  operation: { readonly query: string; readonly variables: Variables },
  signal?: AbortSignal,
  silentMs: number = SILENT_MS,
): AsyncGenerator<Execution> {
  const connection = new AbortController();
  const leave = () => connection.abort();
  signal?.addEventListener('abort', leave, { once: true });
  let watch = setTimeout(leave, CONNECT_MS);
  try {
    const response = await (endpoint.fetch ?? globalThis.fetch)(address, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...(await credentialHeaders(endpoint)),
      },
      body: JSON.stringify(operation),
      signal: connection.signal,
    });
    if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) {
      throw refusal(response.status, await response.text());
    }
    const reader = response.body.getReader();
    const parser = createParser();
    for (;;) {
      // Only the time in which something is waited for counts: a consumer may take as long as it likes.
      clearTimeout(watch);
      watch = setTimeout(leave, silentMs);
      const { done, value } = await reader.read();
      clearTimeout(watch);
      if (done) return;
      for (const { event, data } of parser.push(value)) {
        if (event === 'complete') return;
        if (event === 'next') yield JSON.parse(data);
      }
    }
  } catch (error) {
    if (connection.signal.aborted && !signal?.aborted) throw new Error(`no sign of life from ${address}`);
    throw error;
  } finally {
    clearTimeout(watch);
    signal?.removeEventListener('abort', leave);
    connection.abort();
  }
}

/** What an answer that is no stream says. */
function refusal(status: number, body: string): Error {
  try {
    const { errors }: Execution = JSON.parse(body);
    if (errors) return feedError(errors);
  } catch (error) {
    return new Error(`HTTP ${status} instead of a feed: ${messageOf(error)}`);
  }
  return new Error(`HTTP ${status} instead of a feed`);
}

interface Message {
  readonly event: string;
  readonly data: string;
}

/** Reads the wire format of Server-Sent Events, in whatever pieces it comes. */
function createParser() {
  const decoder = new TextDecoder();
  let rest = '';
  return {
    push(bytes: Uint8Array): Message[] {
      rest += decoder.decode(bytes, { stream: true });
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? '';
      return blocks.map(readBlock);
    },
  };
}

function readBlock(block: string): Message {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    // Also U+2028 and U+2029, which JSON may contain and a dot of another expression does not match.
    const [, field, value = ''] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
  return { event, data: data.join('\n') };
}
